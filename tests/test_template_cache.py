"""Compiled templates on disk: found again, and never those of another text."""

from __future__ import annotations

import sys
from pathlib import Path

import jinja2
import pytest

from tfgraph.codegen.template_cache import TemplateCache


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one template, where compiled code may be kept."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    (tmp_path / "sum.c.j2").write_text("a + {{ b }};\n")
    return tmp_path


def rendered(folder: Path, monkeypatch: pytest.MonkeyPatch, **options: object) -> tuple[str, int]:
    """The template's text in a new environment, and how many templates had to be compiled for it."""
    made = jinja2.Environment(loader=jinja2.FileSystemLoader(folder), bytecode_cache=TemplateCache(), **options)
    compiled = []
    compile_ = made.compile
    monkeypatch.setattr(made, "compile", lambda *given: compiled.append(given) or compile_(*given))
    return made.get_template("sum.c.j2").render(b=2), len(compiled)


def kept(folder: Path) -> list[Path]:
    return list((folder / "__pycache__").iterdir()) if (folder / "__pycache__").exists() else []


def test_compiled_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rendered(folder, monkeypatch) == ("a + 2;", 1)
    assert rendered(folder, monkeypatch) == ("a + 2;", 0)
    assert len(kept(folder)) == 1


def test_another_text(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered(folder, monkeypatch)
    (folder / "sum.c.j2").write_text("a - {{ b }};\n")
    assert rendered(folder, monkeypatch) == ("a - 2;", 1)
    assert len(kept(folder)) == 1


def test_other_options(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "sum.c.j2").write_text("{% if true %}\n  {{ b }}\n{% endif %}\n")
    plain = rendered(folder, monkeypatch)
    assert rendered(folder, monkeypatch, trim_blocks=True) == ("  2\n", 1)
    assert plain == ("\n  2\n", 1)


@pytest.mark.parametrize("damage", [b"", b"no code", "cut off", "changed"])
def test_a_damaged_file(damage: bytes | str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered(folder, monkeypatch)
    (file,) = kept(folder)
    data = file.read_bytes()
    file.write_bytes({"cut off": data[:-20], "changed": b"?" + data[1:]}[damage] if isinstance(damage, str) else damage)
    assert rendered(folder, monkeypatch) == ("a + 2;", 1)
    assert rendered(folder, monkeypatch) == ("a + 2;", 0)


def test_nothing_is_kept_where_python_keeps_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert rendered(folder, monkeypatch) == rendered(folder, monkeypatch) == ("a + 2;", 1)
    assert kept(folder) == []


def test_a_folder_that_cannot_be_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "__pycache__").write_text("a file where the folder should be")
    assert rendered(folder, monkeypatch) == ("a + 2;", 1)
    assert sorted(path.name for path in folder.iterdir()) == ["__pycache__", "sum.c.j2"]


def test_the_folder_that_python_is_told_to_use(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "elsewhere"))
    assert rendered(folder, monkeypatch)[1] == 1
    assert rendered(folder, monkeypatch)[1] == 0
    assert kept(folder) == []
