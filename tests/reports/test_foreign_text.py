from lwmport.reports.render import _html, escape_markdown

NAME = "a\x1b[2J\u202egnp<b>"


def test_pages_show_what_no_reader_sees_as_escapes() -> None:
    page = _html().from_string("{{ name }} {{ count }}").render(name=NAME, count=3)
    assert page == r"a\x1b[2J\u202egnp&lt;b&gt; 3"
    assert escape_markdown(NAME).replace("\\", "").isprintable()
