"""What runs a compiled artifact on a vendor's device, by target and kind of file."""

from typing import Final

from lwmport.registry import Registry

DEVICES: Final = Registry(
    "device's runner",
    {
        "aipu": "lwmport.runtime.devices.compass:CompassRunner",
        "ascend": "lwmport.runtime.devices.ascend:OmRunner",
        "migraphx": "lwmport.runtime.devices.providers:open_provider",
        "openvino": "lwmport.runtime.runners.openvino:OpenVinoRunner",
        "rocm": "lwmport.runtime.devices.rocm:RocmRunner",
    },
)
"""What runs -> its runner. ``ascend`` takes (``.om``, signature, device); ``aipu`` the IR's text and a signature;
``migraphx`` an ONNX file and the provider's options (CANN's provider too); ``rocm`` a Hugging Face folder and threads;
``openvino`` ONNX or IR, threads and precision."""
