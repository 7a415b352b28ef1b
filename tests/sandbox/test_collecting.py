from hypercode.sandbox.runner.collecting import culprits

OUTPUT = """
______ ERROR collecting tests/test_a.py ______
tests/test_a.py:7: in <module>
    from freezegun import freeze_time
/opt/venv/lib/python3.13/site-packages/freezegun/api.py:71: in <module>
    uuid._load_system_functions()
E   AttributeError: module 'uuid' has no attribute '_load_system_functions'
______ ERROR collecting tests/test_b.py ______
/opt/venv/lib/python3.13/site-packages/_pytest/python.py:5: in importtestmodule
tests/test_b.py:3: in <module>
    from x import missing
E   ImportError: cannot import name 'missing'
"""


def test_only_installed_packages_are_named_never_the_projects_own_errors() -> None:
    assert culprits(OUTPUT) == ["freezegun"]
    assert culprits("3 tests collected") == []
