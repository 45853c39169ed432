"""Who controls: one at most, by asking and handing over."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hxwrappers.recorder.control import ClientRoles, Role

SEATS = st.sampled_from(["ann", "bob", "cy"])


def test_the_first_controls_and_the_others_watch():
    room = ClientRoles()
    room.enter("ann")
    room.enter("bob")
    assert room.view("ann") == Role(controls=True, free=False, others=1, asked=False)
    assert room.view("bob") == Role(controls=False, free=False, others=1, asked=False)


def test_asking_and_handing_over_in_turn():
    room = ClientRoles()
    for seat in ("ann", "bob", "cy"):
        room.enter(seat)
    room.ask("cy")
    room.ask("bob")
    room.ask("cy")
    room.release("bob")
    assert room.controller == "ann"
    room.release("ann")
    assert room.controller == "cy"
    room.leave("cy")
    assert room.controller == "bob"
    room.release("bob")
    assert room.view("ann").free
    room.ask("ann")
    assert room.controller == "ann"


def test_who_comes_back_goes_on_controlling_unless_somebody_else_does():
    room = ClientRoles()
    for seat in ("ann", "bob"):
        room.enter(seat)
    room.leave("ann")
    assert room.controller is None
    room.enter("ann")
    assert room.controller == "ann"
    room.leave("ann")
    room.ask("bob")
    room.enter("ann")
    assert room.controller == "bob"
    room.release("bob")
    room.leave("ann")
    room.enter("ann")
    assert room.controller is None


class Rooms(RuleBasedStateMachine):
    """Whatever the clients do, the room stays in order."""

    def __init__(self):
        super().__init__()
        self.room, self.present = ClientRoles(), set()

    @rule(seat=SEATS)
    def enter_or_leave(self, seat):
        if seat in self.present:
            self.room.leave(seat)
        else:
            self.room.enter(seat)
        self.present ^= {seat}

    @rule(seat=SEATS)
    def ask(self, seat):
        if seat in self.present:
            self.room.ask(seat)
            assert self.room.controller is not None

    @rule(seat=SEATS)
    def release(self, seat):
        if seat in self.present:
            self.room.release(seat)
            assert self.room.controller != seat

    @invariant()
    def at_most_one_of_those_present_controls(self):
        assert len(self.room) == len(self.present)
        views = [self.room.view(seat) for seat in self.present]
        assert sum(view.controls for view in views) <= 1
        assert self.room.controller is None or self.room.controller in self.present
        if len(self.present) == 1:
            assert views[0].others == 0


TestRooms = Rooms.TestCase
