"""Loading code locations: modules, files, packages, what is found in them, reloads, errors that show user code."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from orchord.errors import CodeLocationLoadError, InvalidConfigError, InvalidDefinitionError
from orchord.location import LocationTarget, load_location, read_workspace

ONE = "import orchord as dg\n@dg.asset\ndef {name}(): return 1\ndefs = dg.Definitions(assets=[{name}])\n"


@pytest.fixture
def code(tmp_path):
    """A folder to write modules into; what they bring into the process goes with the test."""
    path, modules = list(sys.path), set(sys.modules)
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if file.startswith(str(tmp_path)):
            del sys.modules[name]


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    # A reload within the same second and of the same size would find Python's cached bytecode.
    for cached in path.parent.glob("__pycache__/*"):
        cached.unlink()
    return path


def refused(target: LocationTarget) -> CodeLocationLoadError:
    with pytest.raises(CodeLocationLoadError) as caught:
        load_location(target)
    return caught.value


def test_a_module_is_found_in_the_working_directory(code):
    write(code, "etl_one.py", ONE.format(name="orders"))
    location = load_location(LocationTarget(module="etl_one", working_directory=code))
    assert location.name == location.snapshot.name == "etl_one"
    assert [asset.key for asset in location.snapshot.assets] == ["orders"]
    assert set(location.repository.jobs) == {"__ASSET_JOB"}


def test_a_file_may_import_its_neighbours(code):
    write(code, "deep/neighbour_two.py", "NAME = 'orders'\n")
    path = write(
        code,
        "deep/etl_two.py",
        "import orchord as dg\nfrom neighbour_two import NAME\ndefs = dg.Definitions(assets=[dg.AssetSpec(NAME)])\n",
    )
    location = load_location(LocationTarget(file=path, name="two"))
    assert (location.name, [asset.key for asset in location.snapshot.assets]) == ("two", ["orders"])


def test_a_file_named_as_a_module_of_python_replaces_nothing(code):
    import json

    path = write(code, "json.py", ONE.format(name="orders"))
    assert load_location(LocationTarget(file=path)).name == "json"
    assert sys.modules["json"] is json


def test_a_package_holds_its_definitions_in_itself_or_in_its_module_of_that_name(code):
    write(code, "pack_three/__init__.py", ONE.format(name="orders"))
    write(code, "pack_four/__init__.py", "")
    write(code, "pack_four/definitions.py", ONE.format(name="items"))
    three = load_location(LocationTarget(package="pack_three", working_directory=code))
    four = load_location(LocationTarget(package="pack_four", working_directory=code))
    assert [asset.key for asset in three.snapshot.assets] == ["orders"]
    assert [asset.key for asset in four.snapshot.assets] == ["items"]
    assert load_location(LocationTarget(module="pack_four", working_directory=code)).name == "pack_four"


def test_an_attribute_may_be_a_definitions_or_a_function_that_makes_one(code):
    write(
        code,
        "etl_five.py",
        "import orchord as dg\n"
        "first = dg.Definitions(assets=[dg.AssetSpec('one')])\n"
        "second = dg.Definitions(assets=[dg.AssetSpec('two')])\n"
        "def third(): return dg.Definitions(assets=[dg.AssetSpec('three')])\n"
        "def fourth(): return 4\n"
        "fifth = 5\n",
    )

    def keys(attribute):
        target = LocationTarget(module="etl_five", attribute=attribute, working_directory=code)
        return [asset.key for asset in load_location(target).snapshot.assets]

    assert (keys("first"), keys("second"), keys("third")) == (["one"], ["two"], ["three"])
    several = refused(LocationTarget(module="etl_five", working_directory=code))
    assert "etl_five holds 2 Definitions (first, second). Name one as the attribute (-a first)" in str(several)
    wrong = LocationTarget(module="etl_five", attribute="fourth", working_directory=code)
    assert "'fourth' of etl_five gives 4; it must give a Definitions." in str(refused(wrong))
    number = LocationTarget(module="etl_five", attribute="fifth", working_directory=code)
    assert "'fifth' of etl_five is 5. It must be a Definitions, or a function that returns one." in str(refused(number))
    typo = LocationTarget(module="etl_five", attribute="frist", working_directory=code)
    assert "etl_five has no 'frist'. Did you mean 'first'?" in str(refused(typo))


def test_a_decorated_function_is_the_modules_definitions(code):
    write(
        code,
        "etl_six.py",
        "import orchord as dg\n@dg.definitions\ndef defs(): return dg.Definitions(assets=[dg.AssetSpec('one')])\n",
    )
    location = load_location(LocationTarget(module="etl_six", working_directory=code))
    assert [asset.key for asset in location.snapshot.assets] == ["one"]


def test_a_definitions_with_two_names_is_one(code):
    write(code, "etl_seven.py", ONE.format(name="orders") + "again = defs\n")
    assert load_location(LocationTarget(module="etl_seven", working_directory=code)).name == "etl_seven"


def test_a_module_without_definitions_says_what_to_add(code):
    write(code, "etl_eight.py", "import orchord as dg\n@dg.asset\ndef a(): ...\n@dg.asset\ndef b(): ...\n")
    write(code, "etl_nine.py", "x = 1\n")
    text = str(refused(LocationTarget(module="etl_eight", working_directory=code)))
    assert "etl_eight holds no Definitions. It has 2 assets: add 'defs = Definitions(assets=[...], jobs=[...])'" in text
    text = str(refused(LocationTarget(module="etl_nine", working_directory=code)))
    assert text.endswith("etl_nine holds no Definitions. Add 'defs = Definitions(...)' at its top level.")


def test_an_import_error_shows_the_users_own_frames_alone(code):
    write(code, "helpers_ten.py", "def load():\n    raise KeyError('no such table')\n")
    write(code, "etl_ten.py", "import helpers_ten\n\nhelpers_ten.load()\n")
    error = refused(LocationTarget(module="etl_ten", working_directory=code))
    assert str(error) == "Code location 'etl_ten' cannot be loaded. KeyError: 'no such table'"
    assert 'etl_ten.py", line 3' in error.user_traceback
    assert 'helpers_ten.py", line 2' in error.user_traceback
    assert "KeyError: 'no such table'" in error.user_traceback
    assert "importlib" not in error.user_traceback
    assert "orchord/location" not in error.user_traceback
    assert isinstance(error.__cause__, KeyError)


def test_a_mistake_in_a_decorator_shows_the_line_of_the_user(code):
    write(code, "etl_eleven.py", "import orchord as dg\n\n@dg.asset(group_name='a b')\ndef orders(): ...\n")
    error = refused(LocationTarget(module="etl_eleven", working_directory=code))
    assert "InvalidDefinitionError: Asset 'orders'" in str(error)
    assert "it has group_name='a b'" in str(error)
    assert 'etl_eleven.py", line 3' in error.user_traceback
    assert "orchord/definitions" not in error.user_traceback


def test_a_syntax_error_shows_its_line(code):
    write(code, "etl_twelve.py", "def broken(:\n")
    error = refused(LocationTarget(module="etl_twelve", working_directory=code))
    assert "SyntaxError" in str(error)
    assert "def broken(:" in error.user_traceback


def test_code_that_ends_the_process_does_not_end_ours(code):
    write(code, "etl_thirteen.py", "raise SystemExit(3)\n")
    error = refused(LocationTarget(module="etl_thirteen", working_directory=code))
    assert "SystemExit: 3" in str(error)


def test_mistakes_of_the_definitions_are_all_told(code):
    write(
        code,
        "etl_fourteen.py",
        "import orchord as dg\n"
        "@dg.asset\ndef a(b): ...\n"
        "s = dg.ScheduleDefinition(name='s', cron_schedule='x', job_name='y')\n"
        "defs = dg.Definitions(assets=[a], schedules=[s])\n",
    )
    error = refused(LocationTarget(module="etl_fourteen", working_directory=code))
    assert "etl_fourteen.py:5) cannot be right (3 mistakes):" in str(error)
    assert "'a' loads the asset 'b', which does not exist." in str(error)
    assert isinstance(error.__cause__, InvalidDefinitionError)


def test_a_module_or_file_that_is_not_there(code):
    text = str(refused(LocationTarget(module="nowhere_at_all.x", working_directory=code)))
    assert f"No module is named 'nowhere_at_all'; it was looked for in {code} and among" in text
    text = str(refused(LocationTarget(file=Path("gone.py"), working_directory=code)))
    assert text == f"Code location 'gone' cannot be loaded. There is no file {code / 'gone.py'}."
    path = write(code, "notes.txt", "")
    assert f"{path} must have a name that ends in .py." in str(refused(LocationTarget(file=path)))


def test_a_missing_import_of_the_users_is_not_taken_for_a_missing_target(code):
    write(code, "etl_fifteen.py", "import no_such_library\n")
    error = refused(LocationTarget(module="etl_fifteen", working_directory=code))
    assert "ModuleNotFoundError: No module named 'no_such_library'" in str(error)
    assert 'etl_fifteen.py", line 1' in error.user_traceback


def test_a_reload_imports_the_users_modules_again(code):
    write(code, "parts_sixteen.py", "NAME = 'before'\n")
    write(
        code,
        "etl_sixteen.py",
        "import orchord as dg\nfrom parts_sixteen import NAME\ndefs = dg.Definitions(assets=[dg.AssetSpec(NAME)])\n",
    )
    target = LocationTarget(module="etl_sixteen", working_directory=code)
    before = load_location(target)
    write(code, "parts_sixteen.py", "NAME = 'after'\n")
    after = load_location(target)
    assert [asset.key for asset in before.snapshot.assets] == ["before"]
    assert [asset.key for asset in after.snapshot.assets] == ["after"]
    assert before.snapshot.snapshot_id != after.snapshot.snapshot_id


def test_a_load_that_failed_is_tried_afresh(code):
    write(code, "parts_seventeen.py", "NAME = 'x'\n")
    write(code, "etl_seventeen.py", "import parts_seventeen\nraise ValueError\n")
    target = LocationTarget(module="etl_seventeen", working_directory=code)
    assert str(refused(target)).endswith("ValueError")
    write(code, "etl_seventeen.py", ONE.format(name="orders"))
    assert [asset.key for asset in load_location(target).snapshot.assets] == ["orders"]


def test_a_target_is_one_thing():
    with pytest.raises(CodeLocationLoadError, match="one module, one package or one file; given is none of them"):
        LocationTarget()
    with pytest.raises(CodeLocationLoadError, match="given is a, b"):
        LocationTarget(module="a", package="b")
    assert LocationTarget(file=Path("x/etl.py")).location_name == "etl"
    assert LocationTarget(module="a.b").location_name == "a.b"
    assert LocationTarget(module="a.b", name="c").location_name == "c"
    assert LocationTarget(file=Path("x/größe 1.py")).location_name == "größe 1"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a@b:c", "The location name 'a@b:c' holds ':' '@'. Give a location_name without."),
        ("a\nb", r"holds '\n'. Give a location_name without."),
        ("", "The location name '' has 0 characters. Give a location_name of 1 to 100."),
        ("x" * 101, "has 101 characters. Give a location_name of 1 to 100."),
    ],
)
def test_a_name_that_no_queue_could_bear_is_refused(name, words):
    with pytest.raises(CodeLocationLoadError) as caught:
        LocationTarget(module="a.b", name=name)
    assert words in str(caught.value)


def test_a_workspace_file_names_targets_relative_to_itself(tmp_path):
    file = tmp_path / "workspace.yaml"
    file.write_text(
        "load_from:\n"
        "  - python_module: etl.definitions\n"
        "  - python_file: {relative_path: jobs/etl.py, attribute: defs,\n"
        "                  location_name: files, working_directory: jobs}\n"
        "  - python_package: {package_name: pack}\n"
    )
    assert read_workspace(file) == [
        LocationTarget(module="etl.definitions", working_directory=tmp_path),
        LocationTarget(
            file=tmp_path / "jobs/etl.py", attribute="defs", name="files", working_directory=tmp_path / "jobs"
        ),
        LocationTarget(package="pack", working_directory=tmp_path),
    ]


def test_every_mistake_of_a_workspace_file_is_told(tmp_path):
    file = tmp_path / "workspace.yaml"
    file.write_text(
        "load_form: []\n"
        "load_from:\n"
        "  - python_modul: a\n"
        "  - python_module: {module_name: 3, atribute: x}\n"
        "  - python_file: {attribute: defs}\n"
        "  - etl\n"
        "  - python_module: twice\n"
        "  - python_package: twice\n"
        "  - python_file: 7\n"
    )
    with pytest.raises(InvalidConfigError) as caught:
        read_workspace(file)
    assert caught.value.mistakes == (
        "'load_form' is unknown. Did you mean 'load_from'?",
        "load_from[0]: 'python_modul' is unknown. Did you mean 'python_module'?",
        "load_from[1].python_module: 'atribute' is unknown. Did you mean 'attribute'?",
        "load_from[1].python_module.module_name is 3 instead of text",
        "load_from[2].python_file has no 'relative_path'",
        "load_from[3] is 'etl'; it must have one key of python_module, python_file, python_package",
        "load_from[6].python_file is 7; give a name, or a mapping with relative_path",
        "two locations are called 'twice': give one a location_name",
    )


@pytest.mark.parametrize("text", ["", "3", "load_from: x", "load_from: ["], ids=["empty", "number", "text", "yaml"])
def test_a_workspace_file_that_is_none(tmp_path, text):
    file = tmp_path / "workspace.yaml"
    file.write_text(text)
    with pytest.raises(InvalidConfigError, match="The workspace file .* cannot be used"):
        read_workspace(file)


def test_a_thousand_assets_are_resolved_and_told_in_time():
    import time

    import orchord as dg
    from orchord.snapshot import snapshot_of

    def make(number):
        deps = [f"a{other}" for other in {number // 2, number // 3, number - 1} if 0 <= other < number]

        @dg.asset(name=f"a{number}", deps=deps, group_name=f"g{number % 20}")
        def made(context): ...

        return made

    assets = [make(number) for number in range(1000)]
    begun = time.perf_counter()
    defs = dg.Definitions(assets=assets, jobs=[dg.define_asset_job("some", "group:g1+")])
    taken = snapshot_of(defs.resolve(), "large")
    # 0.2 s on two cores of 2020; the bound leaves room for a busy machine.
    assert time.perf_counter() - begun < 1.5
    assert len(taken.assets) == 1000
