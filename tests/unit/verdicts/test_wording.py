from builder.verdicts.wording import join_names, name_callable, name_types


def test_few_names_are_all_listed():
    assert join_names(["a", "b"], 2) == "a, b"
    assert join_names([], 2) == ""


def test_of_many_names_the_first_are_listed_and_the_others_counted():
    assert join_names(["a", "b", "c", "d"], 2) == "a, b and 2 more"


def test_what_has_a_special_method_is_a_type_however_it_is_spelt():
    names = ["pkg.lazy.__set_name__", "pkg.lazy.func", "pkg.Box.put", "pkg.dump"]
    assert name_types(names) == ["pkg.lazy", "pkg.Box", "pkg.dump"]
    assert name_callable("pkg.lazy.__set_name__") == "lazy.__set_name__()"
    assert name_callable("pkg.dump") == "dump()"
