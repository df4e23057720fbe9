"""OTrack's targets: its decoder turns them back into boxes and previous centres."""

import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from loss_goldens import otrack_heads

from mottool.data.targets.labels import Labels
from mottool.data.targets.otrack import otrack_targets
from mottool.models.otrack import OTrack

SIZE = (320, 160)
with torch.device("meta"):
    NETWORK = OTrack()  # decoding needs no weights

people = st.lists(
    st.tuples(
        st.integers(-40, 330),
        st.integers(-40, 170),
        st.integers(4, 90),
        st.integers(8, 150),
        st.integers(-30, 30),
        st.integers(-30, 30),
        st.booleans(),
    ),
    max_size=6,
)


def labels(rows, identities):
    boxes = torch.tensor(rows, dtype=torch.float32).reshape(-1, 4)
    return Labels(boxes, torch.tensor(identities, dtype=torch.int64))


def shown(box):
    """Return the visible part of a box in pixels, or None if it is outside the image."""
    x1, y1, x2, y2 = box
    x1, x2 = (min(max(x, 0), SIZE[0] - 4) for x in (x1, x2))
    y1, y2 = (min(max(y, 0), SIZE[1] - 4) for y in (y1, y2))
    return (x1, y1, x2, y2) if x2 > x1 and y2 > y1 else None


def middle(box):
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


@settings(derandomize=True, deadline=None, max_examples=100)
@given(people)
def test_decoded_targets_are_boxes_and_previous_centres(rows):
    now = [(x, y, x + w, y + h) for x, y, w, h, *_ in rows]
    then = [(x + dx, y + dy, x + w + dx, y + h + dy) for x, y, w, h, dx, dy, _ in rows]
    stayed = [row[6] for row in rows]
    names = list(range(len(rows)))
    before = [(box, name) for box, name, there in zip(then, names, stayed, strict=True) if there]
    previous = labels([box for box, _ in before[::-1]], [name for _, name in before[::-1]])
    targets = otrack_targets([labels(now, names)], [previous], SIZE)

    # The whole box and the previous centre of each cell.
    expected = {}
    for box, earlier, there in zip(now, then, stayed, strict=True):
        if (seen := shown(box)) is None:
            continue
        cell = tuple(int(place // 4) for place in middle(seen))
        assume(cell not in expected)
        visible = shown(earlier) if there else None
        expected[cell] = box, None if visible is None else middle(visible)

    (decoded,) = NETWORK.decode(otrack_heads(targets), 0.5)
    assert len(decoded.boxes) == len(expected)
    cells = targets.people.cells[0].tolist()
    known = dict(zip(cells, targets.known[0].tolist(), strict=True))
    for box, centre, offset in zip(decoded.boxes, decoded.centres, decoded.offsets, strict=True):
        x, y = (int(place) // 4 for place in centre.tolist())
        whole, was = expected[x, y]
        torch.testing.assert_close(box, torch.tensor(whole).float(), atol=1e-3, rtol=0)
        assert known[y * 80 + x] == (was is not None)
        if was is not None:
            expected_place = torch.tensor(was).float()
            torch.testing.assert_close(centre + offset, expected_place, atol=1e-3, rtol=0)


def test_targets_of_two_people_equal_hand_calculation():
    # At 96x64 there are 24x16 cells. The first is cut off at the left, and was farther right.
    now = labels([(-8, 8, 24, 56), (50, 10, 71, 45)], [3, 5])
    before = labels([(10, 10, 30, 40), (4, 10, 38, 58)], [4, 3])
    targets = otrack_targets([now], [before], (96, 64))
    assert targets.people.cells.tolist() == [[8 * 24 + 3, 6 * 24 + 15]]
    assert targets.people.offset.tolist() == [[[0, 0], [0.125, 0.875]]]
    assert targets.people.size.tolist() == [[[6, 12], [5.25, 8.75]]]
    assert targets.amodal.tolist() == [[[-5, -6, 3, 6], [-2.5, -3.5, 2.75, 5.25]]]
    assert targets.known.tolist() == [[True, False]]
    assert targets.displacement[0, 0].tolist() == [2.25, 0.5]
    assert targets.people.heatmap[0, 0, 8, 3] == targets.people.heatmap[0, 0, 6, 15] == 1


def test_unknown_identities_have_no_displacement():
    box = [(20, 20, 40, 60)]
    targets = otrack_targets([labels(box, [-1])], [labels(box, [-1])], SIZE)
    assert targets.people.valid.tolist() == [[True]]
    assert targets.known.tolist() == [[False]]


def test_a_batch_without_people_has_targets():
    empty, person = labels([], []), labels([(20, 20, 40, 60)], [0])
    targets = otrack_targets([empty], [person], SIZE)
    assert targets.amodal.shape == (1, 0, 4)
    assert targets.known.shape == (1, 0)
    targets = otrack_targets([empty, person], [empty, empty], SIZE, threshold=None)
    assert targets.displacement.shape == (2, 1, 2)
    assert not targets.known.any()
    assert targets.occlusions is None
    assert targets.to("cpu").people.cells.equal(targets.people.cells)
