import wordbag


def test_counts():
    bag = wordbag.Bag()
    for word in "the cat and the hat and the bat".split():
        bag.add(word)
    assert bag["the"] == 3
    assert bag["dog"] == 0
    assert len(bag) == 5
    assert bag.total == 8


def test_most_common():
    bag = wordbag.Bag()
    bag.add("b", times=2)
    bag.add("a", times=2)
    bag.add("c")
    assert bag.most_common(2) == [("a", 2), ("b", 2)]
