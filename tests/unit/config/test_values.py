from builder.config import catalog
from tests.unit.config.parsing import parse


def test_values_take_their_forms():
    package = parse(
        """
        [packages.x]
        apt = { debian = ["libfoo-dev"], "ubuntu-24.04" = ["libfoo2-dev"] }
        env = { CFLAGS = "-O1", JOBS = 2, FAST = true }
        config-settings = { setup-args = ["-Da=b", "-Dc=d"], flag = true }
        memory = "512m"
        """
    ).packages["x"]
    bases = catalog.load().bases
    assert package.apt_packages(bases["debian-13"]) == ("libfoo-dev",)
    assert package.apt_packages(bases["ubuntu-24.04"]) == ("libfoo2-dev",)
    assert package.env == {"CFLAGS": "-O1", "JOBS": "2", "FAST": "true"}
    assert package.config_settings == {"setup-args": ("-Da=b", "-Dc=d"), "flag": ("true",)}
    assert package.memory == 512 << 20


def test_a_hash_is_one_or_a_list():
    one, two = "a" * 64, "b" * 64
    loaded = parse(f"[packages.x]\nsha256 = '{one}'\n[packages.y]\nsha256 = ['{one}', '{two}']")
    assert loaded.packages["x"].sha256 == (one,)
    assert loaded.packages["y"].sha256 == (one, two)
    assert parse("[packages.x]").packages["x"].sha256 == ()
