from __future__ import annotations

from pathlib import Path

from nestos.layout import bytecode
from tests.unit.compose.trees import picture, plant
from tests.unit.host.scripted import Scripted


def test_old_caches_go_and_new_ones_carry_no_time(tmp_path: Path) -> None:
    plant(
        tmp_path,
        {
            "usr/lib/python3.13/os.py": "",
            "usr/lib/python3.13/__pycache__/os.cpython-313.pyc": "",
            "usr/lib/python3/dist-packages/nestos/base/__pycache__/x.pyc": "",
            "usr/lib/python3/dist-packages/nestos/base/x.py": "",
        },
    )
    inside = Scripted()
    bytecode.compile_tree(tmp_path, inside=inside)
    assert list(picture(tmp_path)) == ["usr/lib/python3/dist-packages/nestos/base/x.py", "usr/lib/python3.13/os.py"]
    (call,) = inside.calls
    assert "--invalidation-mode=unchecked-hash" in call.line
    assert call.line[-2:] == ["/usr/lib/python3", "/usr/lib/python3.13"]
    assert call.environment == {"PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": "0"}


def test_parts_that_no_node_imports_are_left_out_of_the_standard_library_only(tmp_path: Path) -> None:
    plant(
        tmp_path,
        {
            "usr/lib/python3.13/test/regrtest.py": "",
            "usr/lib/python3.13/idlelib/idle.py": "",
            "usr/lib/python3/dist-packages/nestos/test/x.py": "",
        },
    )
    bytecode.compile_tree(tmp_path, inside=Scripted())
    assert list(picture(tmp_path)) == ["usr/lib/python3/dist-packages/nestos/test/x.py", "usr/lib/python3.13"]


def test_a_tree_without_python_is_left_alone(tmp_path: Path) -> None:
    plant(tmp_path, {"usr/lib": None})
    inside = Scripted()
    bytecode.compile_tree(tmp_path, inside=inside)
    assert inside.calls == []


def test_a_standard_library_in_lib64_is_compiled_too(tmp_path: Path) -> None:
    plant(tmp_path, {"usr/lib64/python3.11/os.py": "", "usr/lib/python3.11/site-packages/nestos/x.py": ""})
    plant(tmp_path, {"usr/lib64/python3.11/test/x.py": ""})
    inside = Scripted()
    bytecode.compile_tree(tmp_path, inside=inside)
    assert inside.calls[0].line[-2:] == ["/usr/lib/python3.11", "/usr/lib64/python3.11"]
    assert not (tmp_path / "usr/lib64/python3.11/test").exists()
