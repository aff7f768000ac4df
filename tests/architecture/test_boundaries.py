"""What may happen in one place only: catching everything, reading the environment, and (in tests: nowhere) sleeping."""

from __future__ import annotations

import ast

CATCH_ALL = {"Exception", "BaseException"}
ENVIRONMENT = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}


def _caught(handler):
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return {"bare"} if handler.type is None else {kind.id for kind in kinds if isinstance(kind, ast.Name)}


def _raises_again(handler):
    last = handler.body[-1]
    return isinstance(last, ast.Raise)


def unmarked_catch_alls(modules):
    """Catching everything is for the boundary to user code: marked (``noqa`` or "boundary"), with whose faults."""
    mistakes = []
    for module in modules:
        for handler in (node for node in ast.walk(module.tree) if isinstance(node, ast.ExceptHandler)):
            if not _caught(handler) & {*CATCH_ALL, "bare"} or _raises_again(handler):
                continue
            comment = module.lines[handler.lineno - 1].partition("#")[2]
            marked = "noqa: BLE001" in comment or "boundary" in comment
            if not marked or len(comment.replace("noqa: BLE001", "").strip(" -:,;#").split()) < 2:
                mistakes.append(f"{module.at(handler.lineno)} catches everything and does not say whose faults")
    return mistakes


def reads_of_the_environment(modules):
    mistakes = []
    for module in modules:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                found = node.value.id == "os" and node.attr in ENVIRONMENT
            else:
                names = {alias.name for alias in node.names} if isinstance(node, ast.ImportFrom) else set()
                found = isinstance(node, ast.ImportFrom) and node.module == "os" and bool(names & ENVIRONMENT)
            if found:
                mistakes.append(f"{module.at(node.lineno)} reads the environment; orchord.settings does that")
    return mistakes


def sleeps(modules):
    mistakes = []
    for module in modules:
        for node in ast.walk(module.tree):
            is_call = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
            is_import = isinstance(node, ast.ImportFrom) and node.module == "time"
            if (is_call and node.value.id == "time" and node.attr == "sleep") or (
                is_import and any(alias.name == "sleep" for alias in node.names)
            ):
                mistakes.append(f"{module.at(node.lineno)} sleeps; poll with orchord.testing.eventually")
    return mistakes


def test_only_marked_boundaries_catch_everything(product):
    mistakes = unmarked_catch_alls(product)
    assert not mistakes, "\n".join(mistakes)


def test_the_environment_is_read_in_one_module(product):
    mistakes = reads_of_the_environment([m for m in product if m.path.as_posix() != "app/orchord/settings.py"])
    assert not mistakes, "\n".join(mistakes)


def test_no_test_sleeps(test_files):
    mistakes = sleeps(test_files)
    assert not mistakes, "\n".join(mistakes)


class TestTheRulesSeeWhatTheyForbid:
    def test_a_catch_all(self, sample):
        def handler(line, body="pass"):
            return [sample("a.py", f"try:\n    x()\n{line}\n    {body}\n")]

        for line in ("except Exception:", "except BaseException as error:", "except (OSError, Exception):", "except:"):
            assert unmarked_catch_alls(handler(line)) != [], line
        assert unmarked_catch_alls(handler("except Exception:  # noqa: BLE001")) != []
        assert unmarked_catch_alls(handler("except Exception:  # noqa: BLE001 - the user's function")) == []
        assert unmarked_catch_alls(handler("except Exception:  # the boundary to user code")) == []
        assert unmarked_catch_alls(handler("except Exception:  # for safety, of course")) != []
        assert unmarked_catch_alls(handler("except Exception:", body="raise")) == []
        assert unmarked_catch_alls(handler("except OSError:")) == []

    def test_a_read_of_the_environment(self, sample):
        for line in ("import os\nos.environ['X']", "import os\nos.getenv('X')", "from os import environ"):
            assert reads_of_the_environment([sample("a.py", line)]) != [], line
        assert reads_of_the_environment([sample("a.py", "import os\nos.getpid()")]) == []

    def test_a_sleep(self, sample):
        assert sleeps([sample("a.py", "import time\ntime.sleep(1)")]) != []
        assert sleeps([sample("a.py", "from time import sleep")]) != []
        assert sleeps([sample("a.py", "import time\ntime.monotonic()")]) == []
