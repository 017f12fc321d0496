"""The soak tests have the server and the fixtures of the black-box tests; `from conftest import ...` works here, too."""
import importlib.util
import os

_path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "blackbox", "conftest.py")
_spec = importlib.util.spec_from_file_location("blackbox_conftest", _path)
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
globals().update({name: value for name, value in vars(_module).items() if not name.startswith("_")})
