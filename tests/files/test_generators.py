"""Seeds and generators derived from one seed."""

from hxwrappers.files.generators import ENV_SEEDS, derived_seed, own_generator


def test_each_key_has_numbers_of_its_own_and_keeps_them():
    keys = [(), ("A",), ("B",), ("A", 0), ("A", 1), (0,), (0, "A")]
    seeds = [derived_seed(7, *key) for key in keys]
    assert len(set(seeds)) == len(keys)
    assert len({own_generator(7, *key).random() for key in keys}) == len(keys)
    assert seeds == [derived_seed(7, *key) for key in keys]
    assert seeds[1] != derived_seed(8, "A")
    assert own_generator(None, "A").random() != own_generator(None, "A").random()


def test_environments_have_room_for_their_lanes():
    seeds = [derived_seed(7, "actor", number, below=ENV_SEEDS) for number in range(1000)]
    assert min(seeds) >= 0
    assert max(seeds) < ENV_SEEDS
    assert len(set(seeds)) == 1000
