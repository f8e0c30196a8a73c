from builder.verdicts.wording import join_names


def test_few_names_are_all_listed():
    assert join_names(["a", "b"], 2) == "a, b"
    assert join_names([], 2) == ""


def test_of_many_names_the_first_are_listed_and_the_others_counted():
    assert join_names(["a", "b", "c", "d"], 2) == "a, b and 2 more"
