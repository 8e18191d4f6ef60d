"""With --json, standard output holds one document and nothing else, whatever libraries print."""

import json
import subprocess
import sys
from pathlib import Path

TALKING = """
import os
os.write(1, b"(raylet) a worker was lost\\n")
print("(raylet) another one", flush=True)
"""


def test_what_libraries_print_goes_to_standard_error(tmp_path: Path) -> None:
    (tmp_path / "talking.py").write_text(TALKING)
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.argv = ['lwmport', 'list', '--json'];"
        "import lwmport.cli.listing as listing; from lwmport import __main__;"
        "from lwmport.cli.main import cli; run = cli.commands['list'].callback;"
        "cli.commands['list'].callback = lambda **given: (__import__('talking'), run(**given))[1];"
        "__main__.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "components" in json.loads(done.stdout)
    assert done.stderr.count("(raylet)") == 2
