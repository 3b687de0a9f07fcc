"""An upload that breaks off goes on, and one that is refused is sent otherwise, however the registry is built."""

from __future__ import annotations

import gc
import hashlib
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcar.distribution.feed import Feed
from modelcar.distribution.ladder import Ladder, Rung
from modelcar.distribution.registries import find_registry
from modelcar.distribution.repository import Repository
from modelcar.distribution.upload import Content, start_upload
from modelcar.errors import ContentMismatch, DistributionError, SourceError
from modelcar.reference import Digest
from registry_service import Running
from wsgi_faults import Fault

MIB = 1 << 20
SESSION = "/blobs/uploads/."


class Blob:
    """A blob that learns its digest while it is read.

    Attributes:
        passes: How often it was read from its start.
        bytes_read: Over all passes.
        changed: Whether the next pass has other bytes.
        ahead: Set when much more was read than has to arrive: the last blocks fit into the buffers of a connection.
    """

    def __init__(self, blocks: int = 6, block_bytes: int = MIB) -> None:
        self.ahead = threading.Event()
        self.digest: Digest | None = None
        self.passes = self.bytes_read = 0
        self.changed = False
        self._blocks, self._block_bytes = blocks, block_bytes

    def __len__(self) -> int:
        return self._blocks * self._block_bytes

    def __iter__(self) -> Iterator[bytes]:
        self.digest = None
        self.passes += 1
        sha256 = hashlib.sha256()
        for number in range(self._blocks):
            block = bytes([number + self.changed]) * self._block_bytes
            sha256.update(block)
            self.bytes_read += len(block)
            if number == 3:
                self.ahead.set()
            yield block
        self.digest = Digest(sha256.hexdigest())


class RereadableBlob(Blob):
    """The same, and any part of it can be read once more.

    Attributes:
        reread: From where to where it was.
        fails: Whether that fails.
    """

    def __init__(self, blocks: int = 6) -> None:
        super().__init__(blocks)
        self.reread: list[tuple[int, int]] = []
        self.fails = False

    def again(self, start: int, stop: int) -> Iterator[bytes]:
        self.reread.append((start, stop))
        if self.fails:
            raise SourceError("the source is away")
        yield b"".join(bytes([number]) * MIB for number in range(self._blocks))[start:stop]


def no_wait(_: float) -> None:
    pass


@pytest.fixture
def uncollected() -> Iterator[None]:
    """No cycle is found before the test ends."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def repository(running: Running) -> Repository:
    return running.repository().waiting_by(no_wait)


def holds(repository: Repository, blob: Blob) -> bool:
    """Whether the registry has the bytes of a sound pass."""
    return repository.has_blob(known_digest(blob))


def known_digest(blob: Blob) -> Digest:
    """What a sound pass over it comes to."""
    for _ in (whole := Blob(len(blob) // MIB)):
        pass
    assert whole.digest is not None
    return whole.digest


@pytest.mark.parametrize("reset", [True, False])
def test_a_stream_that_is_cut_goes_on_where_the_registry_says_that_it_stands(
    running: Running, repository: Repository, reset: bool
) -> None:
    blob = RereadableBlob()
    running.faults.add(Fault.cut_request("PATCH", SESSION, 3 * MIB + 5, reset=reset))
    repository.write_stream(blob)
    assert (blob.passes, len(running.recorder.seen("POST")), running.sessions_left) == (1, 1, 0)
    _, rest = running.recorder.seen("PATCH")
    assert rest.headers["content-range"] == f"{3 * MIB + 5}-{6 * MIB - 1}"
    assert rest.bytes_received == 3 * MIB - 5
    assert holds(repository, blob)


def test_a_stream_that_is_cut_again_and_again_gets_through_as_long_as_it_gets_on(
    running: Running, repository: Repository
) -> None:
    blob = RereadableBlob(blocks=12)
    running.faults.add(Fault.cut_request("PATCH", SESSION, MIB, times=11))
    repository.write_stream(blob)
    assert (blob.passes, len(running.recorder.seen("PATCH"))) == (1, 12)
    assert holds(repository, blob)


def test_what_got_lost_on_the_way_is_read_once_more_and_nothing_else(running: Running, repository: Repository) -> None:
    blob = RereadableBlob(blocks=24)
    running.faults.add(Fault.cut_request("PATCH", SESSION, MIB + 7, when=blob.ahead))
    repository.write_stream(blob)
    ((start, stop),) = blob.reread
    assert (start, blob.passes, blob.bytes_read) == (MIB + 7, 1, 24 * MIB)
    assert stop < 24 * MIB
    assert holds(repository, blob)


def test_where_it_cannot_be_read_once_more_everything_is_sent_again(running: Running, repository: Repository) -> None:
    once = Blob(blocks=24)
    running.faults.add(Fault.cut_request("PATCH", SESSION, MIB, when=once.ahead))
    repository.write_stream(once)
    assert (once.passes, running.sessions_left) == (2, 0)
    assert holds(repository, once)


def test_a_source_that_is_away_when_it_is_read_once_more_ends_the_upload(
    running: Running, repository: Repository
) -> None:
    away = RereadableBlob(blocks=24)
    away.fails = True
    running.faults.add(Fault.cut_request("PATCH", SESSION, MIB, when=away.ahead))
    with pytest.raises(SourceError, match="the source is away"):
        repository.write_stream(away)
    assert (away.passes, running.sessions_left) == (1, 0)


@pytest.mark.parametrize("status", [429, 503])
def test_a_registry_that_is_busy_twice_when_an_upload_goes_on_gets_only_the_rest(
    running: Running, repository: Repository, status: int
) -> None:
    assert repository.find_manifest("v1") is None
    blob = RereadableBlob()
    running.faults.add(Fault.cut_request("PATCH", SESSION, 3 * MIB))
    running.faults.add(Fault.answer("PATCH", SESSION, status, nth=2, times=2, drain=False))
    repository.write_stream(blob)
    assert (blob.passes, len(running.recorder.seen("POST"))) == (1, 1)
    assert holds(repository, blob)


def test_a_session_that_does_not_get_on_three_times_is_replaced_by_another(
    running: Running, repository: Repository
) -> None:
    assert repository.find_manifest("v1") is None
    blob = RereadableBlob()
    running.faults.add(Fault.cut_request("PATCH", SESSION, 3 * MIB))
    running.faults.add(Fault.answer("PATCH", SESSION, 503, nth=2, times=3, drain=False))
    repository.write_stream(blob)
    assert (blob.passes, len(running.recorder.seen("POST")), running.sessions_left) == (2, 2, 0)
    assert holds(repository, blob)


@pytest.mark.parametrize(
    "answer",
    [
        Fault.answer("GET", SESSION, 404),
        Fault.answer("GET", SESSION, 405),
        Fault.answer("GET", SESSION, 204),
        Fault.answer("GET", SESSION, 204, headers={"Range": "0-0"}),
        Fault.answer("GET", SESSION, 204, headers={"Range": "bytes=-"}),
        Fault.answer("GET", SESSION, 204, headers={"Range": "0-99999999999999999"}),
    ],
    ids=["404", "405", "no range", "nothing", "nonsense", "too much"],
)
def test_a_registry_that_does_not_know_how_far_it_came_gets_everything_again(
    running: Running, repository: Repository, answer: Fault
) -> None:
    blob = Blob()
    running.faults.add(Fault.cut_request("PATCH", SESSION, 3 * MIB))
    running.faults.add(answer)
    repository.write_stream(blob)
    assert (blob.passes, len(running.recorder.seen("POST")), running.sessions_left) == (2, 2, 0)
    assert holds(repository, blob)


@pytest.mark.parametrize("status", [400, 404, 416])
def test_a_registry_that_cannot_go_on_gets_everything_again_and_is_not_asked_to_any_more(
    running: Running, repository: Repository, status: int
) -> None:
    running.faults.add(Fault.cut_request("PATCH", SESSION, 3 * MIB))
    running.faults.add(Fault.answer("PATCH", SESSION, status, nth=2))
    running.faults.add(Fault.cut_request("PATCH", SESSION, 3 * MIB, nth=4))
    for blocks in (6, 7):
        blob = RereadableBlob(blocks)
        repository.write_stream(blob)
        assert (blob.passes, running.sessions_left) == (2, 0)
        assert holds(repository, blob)
    assert len(running.recorder.seen("GET", SESSION)) == 1


def test_a_registry_that_mixed_bytes_up_while_going_on_gets_everything_again(
    running: Running, repository: Repository
) -> None:
    blob = RereadableBlob()
    running.faults.add(Fault.cut_request("PATCH", SESSION, 3 * MIB))
    running.faults.add(Fault.answer("PUT", SESSION, 400, body=b'{"errors":[{"code":"DIGEST_INVALID"}]}', times=1))
    repository.write_stream(blob)
    assert (blob.passes, holds(repository, blob)) == (2, True)
    assert not repository._registry.ladder.resumes


def test_a_pass_is_closed_before_another_begins(running: Running, repository: Repository, uncollected: None) -> None:
    class Open(Blob):
        at_once = opened = 0

        def __iter__(self) -> Iterator[bytes]:
            self.opened += 1
            self.at_once = max(self.at_once, self.opened)
            try:
                yield from super().__iter__()
            finally:
                self.opened -= 1

    # Nothing is gone on with there, so that each cut begins another pass, however little of this one was read.
    repository._registry.ladder = Ladder(find_registry("1.dkr.ecr.eu-central-1.amazonaws.com"))
    blob = Open(blocks=24)
    running.faults.add(Fault.cut_request("PATCH", SESSION, 2 * MIB, times=2))
    repository.write_stream(blob)
    assert (blob.passes, blob.at_once, blob.opened) == (3, 1, 0)


def test_a_big_blob_of_known_digest_goes_on_where_it_was_cut(running: Running, repository: Repository) -> None:
    blob = RereadableBlob(blocks=20)
    running.faults.add(Fault.cut_request("PATCH", SESSION, 18 * MIB))
    repository.write_blob(blob, known_digest(blob))
    _, rest = running.recorder.seen("PATCH")
    assert (blob.passes, rest.headers["content-range"]) == (1, f"{18 * MIB}-{20 * MIB - 1}")
    assert (running.sessions_left, holds(repository, blob)) == (0, True)


def test_bytes_of_known_digest_that_got_mixed_up_are_sent_again(running: Running, repository: Repository) -> None:
    blob = RereadableBlob(blocks=20)
    running.faults.add(Fault.cut_request("PATCH", SESSION, 18 * MIB))
    running.faults.add(Fault.answer("PUT", SESSION, 400, body=b'{"errors":[{"code":"DIGEST_INVALID"}]}', times=1))
    repository.write_blob(blob, known_digest(blob))
    assert (blob.passes, running.sessions_left, holds(repository, blob)) == (2, 0, True)


def test_a_small_blob_of_known_digest_that_got_mixed_up_is_sent_again(running: Running, repository: Repository) -> None:
    blob = Blob()
    running.faults.add(Fault.answer("PUT", SESSION, 400, body=b'{"errors":[{"code":"DIGEST_INVALID"}]}', times=1))
    repository.write_blob(blob, known_digest(blob))
    assert (blob.passes, running.sessions_left, holds(repository, blob)) == (2, 0, True)


def test_a_big_blob_that_is_not_what_its_digest_says_is_not_named(running: Running, repository: Repository) -> None:
    blob = Blob(blocks=20)
    blob.changed = True
    with pytest.raises(ContentMismatch, match="changed while it was read"):
        repository.write_blob(blob, known_digest(blob))
    assert (running.recorder.seen("PUT"), running.sessions_left) == ([], 0)


@pytest.mark.parametrize(
    ("blocks", "host"), [(16, "localhost"), (20, "1.dkr.ecr.eu-central-1.amazonaws.com"), (20, "team.jfrog.io")]
)
def test_a_blob_of_known_digest_is_one_request_where_it_is_small_or_nothing_could_be_gone_on_with(
    running: Running, repository: Repository, blocks: int, host: str
) -> None:
    repository._registry.ladder = Ladder(find_registry(host))
    blob = RereadableBlob(blocks)
    repository.write_blob(blob, known_digest(blob))
    assert [len(running.recorder.seen(method)) for method in ("POST", "PATCH", "PUT")] == [1, 0, 1]
    assert holds(repository, blob)


def test_a_registry_that_is_away_for_a_moment_is_asked_until_it_is_back(
    running: Running, repository: Repository
) -> None:
    blob = RereadableBlob()
    assert repository.find_manifest("v1") is None  # who has answered once is met with patience
    running.faults.add(Fault.cut_request("PATCH", SESSION, 3 * MIB))
    running.faults.add(Fault.answer("GET", SESSION, 503, times=4))
    repository.write_stream(blob)
    assert (blob.passes, holds(repository, blob)) == (1, True)


def test_ecr_is_not_believed_how_far_it_came(running: Running, repository: Repository) -> None:
    repository._registry.ladder = Ladder(find_registry("1.dkr.ecr.eu-central-1.amazonaws.com"))
    blob = RereadableBlob()
    running.faults.add(Fault.cut_request("PATCH", SESSION, 3 * MIB))
    repository.write_stream(blob)
    assert (blob.passes, running.recorder.seen("GET", SESSION)) == (2, [])
    assert holds(repository, blob)


def test_only_the_last_request_is_repeated_where_everything_has_arrived(
    running: Running, repository: Repository
) -> None:
    blob = Blob()
    running.faults.add(Fault.answer("PUT", SESSION, 503, times=5))
    repository.write_stream(blob)
    assert (blob.passes, len(running.recorder.seen("PATCH"))) == (1, 1)
    assert holds(repository, blob)


def test_what_reading_raises_after_a_cut_ends_the_upload(running: Running, repository: Repository) -> None:
    class Broken(Blob):
        def __iter__(self) -> Iterator[bytes]:
            for number, block in enumerate(super().__iter__()):
                if number == 5:
                    raise SourceError("the disk is broken")
                yield block

    running.faults.add(Fault.cut_request("PATCH", SESSION, MIB))
    with pytest.raises(SourceError, match="the disk is broken"):
        repository.write_stream(Broken())
    assert running.sessions_left == 0


class Refused(Blob):
    """A blob of another registry, which refuses a part of it."""

    def __init__(self, error: DistributionError) -> None:
        super().__init__()
        self.error = error

    def __iter__(self) -> Iterator[bytes]:
        for number, block in enumerate(super().__iter__()):
            if number == 4:
                raise self.error
            yield block


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("status", [404, 405, 413, 416, 500])
def test_what_the_origin_refuses_is_no_refusal_of_the_destination(
    running: Running, repository: Repository, known: bool, status: int
) -> None:
    blob = Refused(DistributionError("the origin refused", status=status, retryable=status == 500))
    repository._registry.ladder.remember(Rung("chunks", MIB), known=False)
    with pytest.raises(DistributionError) as caught:
        repository.write_blob(blob, Digest.of(b"x")) if known else repository.write_stream(blob)
    assert caught.value is blob.error
    assert (blob.passes, len(running.recorder.seen("POST")), running.sessions_left) == (1, 1, 0)


# A registry that never gets on.


def test_a_blob_that_no_registry_can_end_is_given_up_after_eight_passes(
    running: Running, repository: Repository
) -> None:
    repository._registry.ladder = Ladder(find_registry("1.dkr.ecr.eu-central-1.amazonaws.com"))
    assert repository.find_manifest("v1") is None
    running.faults.add(Fault.answer("PUT", SESSION, 504, times=999))
    blob = Blob()
    with pytest.raises(DistributionError, match="HTTP 504"):
        repository.write_stream(blob)
    assert (blob.passes, running.sessions_left) == (8, 0)


def test_a_blob_whose_parts_always_get_lost_is_given_up_after_eight_sessions(
    running: Running, repository: Repository
) -> None:
    assert repository.find_manifest("v1") is None
    limit(running, 5 * MIB)
    for nth in range(2, 99, 2):
        running.faults.add(Fault.answer("PATCH", SESSION, 404, nth=nth))
    content = bytes(6 * MIB)
    with pytest.raises(DistributionError, match="lost an upload to team/model"):
        repository.write_blob(Content(content), Digest.of(content))
    # One for the refused PUT.
    assert (len(running.recorder.seen("POST")), running.sessions_left) == (1 + 8, 0)


def test_a_registry_that_takes_a_piece_and_then_forgets_it_is_given_up_after_eight_sessions(
    running: Running, repository: Repository
) -> None:
    running.faults.add(Fault.cut_request("PATCH", SESSION, MIB, times=999))
    for nth in range(2, 99, 2):
        running.faults.add(Fault.answer("GET", SESSION, 404, nth=nth))
    blob = RereadableBlob()
    with pytest.raises(DistributionError, match="lost upload after upload to team/model"):
        repository.write_stream(blob)
    assert (blob.passes, running.sessions_left) == (8, 0)


# A registry that refuses a way.


def test_a_proxy_that_limits_a_body_gets_it_in_parts_that_it_takes(running: Running, repository: Repository) -> None:
    limit(running, 5 * MIB)
    blob = Blob()
    repository.write_stream(blob)
    assert [r.headers["content-range"] for r in running.recorder.seen("PATCH") if r.status == 202] == [
        f"0-{4 * MIB - 1}",
        f"{4 * MIB}-{6 * MIB - 1}",
    ]
    assert (blob.passes, running.sessions_left, holds(repository, blob)) == (2, 0, True)


def test_what_worked_once_is_done_at_once_from_then_on(running: Running, repository: Repository) -> None:
    limit(running, 5 * MIB)
    repository.write_stream(Blob())
    blob = Blob(blocks=7)
    repository.write_stream(blob)
    assert (blob.passes, holds(repository, blob)) == (1, True)


def test_a_proxy_that_limits_a_body_gets_a_blob_of_known_digest_in_parts(
    running: Running, repository: Repository
) -> None:
    limit(running, 5 * MIB)
    content = bytes(6 * MIB)
    repository.write_blob(Content(content), Digest.of(content))
    assert [r.status for r in running.recorder.seen("PATCH")] == [202, 202]
    assert repository.has_blob(Digest.of(content))


def test_a_part_that_is_cut_goes_on_where_it_was(running: Running, repository: Repository) -> None:
    limit(running, 5 * MIB)
    running.faults.add(Fault.cut_request("PATCH", SESSION, MIB, nth=3))
    blob = RereadableBlob()
    repository.write_stream(blob)
    assert [r.headers["content-range"] for r in running.recorder.seen("PATCH")[1:]] == [
        f"0-{4 * MIB - 1}",
        f"{4 * MIB}-{6 * MIB - 1}",
        f"{5 * MIB}-{6 * MIB - 1}",
    ]
    assert (blob.passes, holds(repository, blob)) == (2, True)


def test_a_registry_that_names_the_least_part_gets_no_smaller_ones(running: Running, repository: Repository) -> None:
    location = start_upload(repository._registry, "team/model").location
    headers = {"Location": location, "OCI-Chunk-Min-Length": str(5 * MIB)}
    running.faults.add(Fault.answer("POST", "/uploads/", 202, headers=headers))
    repository._registry.ladder.remember(Rung("chunks", 4 * MIB), known=False)
    repository.write_stream(Blob(blocks=11))
    assert [r.bytes_received for r in running.recorder.seen("PATCH")] == [5 * MIB, 5 * MIB, MIB]


def test_a_proxy_that_takes_nothing_is_told_in_one_sentence(running: Running, repository: Repository) -> None:
    limit(running, 1000)
    with pytest.raises(DistributionError, match="push to team/model: HTTP 413") as caught:
        repository.write_stream(Blob())
    assert (
        caught.value.hint
        == "A proxy before the registry limits what one request may carry; its administrator can allow more."
    )
    assert running.sessions_left == 0


def test_a_registry_that_minds_the_length_that_is_stated_gets_none(running: Running, repository: Repository) -> None:
    limit(running, 4 * MIB, status=416)
    blob = Blob()
    repository.write_stream(blob)
    assert running.recorder.seen("PATCH")[-1].headers["transfer-encoding"] == "chunked"
    assert (blob.passes, holds(repository, blob)) == (2, True)


def test_github_gets_no_length_from_the_start(running: Running, repository: Repository) -> None:
    repository._registry.ladder = Ladder(find_registry("ghcr.io"))
    limit(running, 4 * MIB, status=416)
    blob = Blob()
    repository.write_stream(blob)
    (patch,) = running.recorder.seen("PATCH")
    assert (patch.headers["transfer-encoding"], "content-length" in patch.headers) == ("chunked", False)
    assert (blob.passes, holds(repository, blob)) == (1, True)


@pytest.mark.parametrize(
    ("status", "body"),
    [(404, b'{"errors":[{"code":"UNSUPPORTED"}]}'), (405, b""), (415, b""), (501, b"")],
)
def test_where_no_patch_is_taken_a_stream_is_hashed_first_and_put_whole(
    running: Running, repository: Repository, status: int, body: bytes
) -> None:
    running.faults.add(Fault.answer("PATCH", SESSION, status, body=body, times=99))
    first, second = Blob(), Blob(blocks=7)
    repository.write_stream(first)
    repository.write_stream(second)
    assert (first.passes, second.passes, len(running.recorder.seen("PATCH"))) == (3, 2, 1)
    assert holds(repository, first)
    assert holds(repository, second)
    assert running.sessions_left == 0


def test_a_stream_that_is_hashed_first_and_is_there_is_not_sent(running: Running, repository: Repository) -> None:
    running.faults.add(Fault.answer("PATCH", SESSION, 405, times=99))
    repository.write_stream(Blob())
    repository.write_stream(Blob())
    assert [r.bytes_received for r in running.recorder.seen("PUT", SESSION)] == [6 * MIB]


def test_a_stream_that_changes_between_hashing_and_sending_is_not_named(
    running: Running, repository: Repository
) -> None:
    running.faults.add(Fault.answer("PATCH", SESSION, 405, times=99))

    class Changing(Blob):
        def __iter__(self) -> Iterator[bytes]:
            self.changed = self.passes == 2
            return super().__iter__()

    with pytest.raises(ContentMismatch, match="changed while it was read"):
        repository.write_stream(Changing())
    assert running.sessions_left == 0


def test_uploads_that_get_lost_between_requests_end_in_one_request(running: Running, repository: Repository) -> None:
    running.faults.add(Fault.answer("PUT", r"uploads/[^?]*$", 404, times=6))
    blob = Blob()
    repository.write_stream(blob)
    assert running.recorder.seen("PUT")[-1].bytes_received == 6 * MIB
    assert holds(repository, blob)


def test_uploads_that_get_lost_change_nothing_for_the_next_blob(running: Running, repository: Repository) -> None:
    running.faults.add(Fault.answer("PUT", r"uploads/[^?]*$", 404, times=6))
    repository.write_stream(Blob())
    blob = Blob(blocks=7)
    repository.write_stream(blob)
    assert (blob.passes, running.recorder.seen("PATCH")[-1].bytes_received) == (1, 7 * MIB)


def test_a_stream_that_is_put_again_is_not_hashed_again(running: Running, repository: Repository) -> None:
    assert repository.find_manifest("v1") is None
    repository._registry.ladder.remember(Rung("put"), known=False)
    running.faults.add(Fault.answer("PUT", SESSION, 503, times=2))
    blob = Blob()
    repository.write_stream(blob)
    assert (blob.passes, running.sessions_left, holds(repository, blob)) == (1 + 3, 0, True)


def test_a_read_only_registry_is_told_at_once_and_nothing_is_read(running: Running, repository: Repository) -> None:
    running.faults.add(Fault.answer("POST", "/uploads/", 405, body=b'{"errors":[{"code":"UNSUPPORTED"}]}'))
    blob = Blob()
    with pytest.raises(DistributionError, match="HTTP 405 UNSUPPORTED"):
        repository.write_stream(blob)
    assert blob.passes == 0


def test_waits_may_end_the_attempts(running: Running) -> None:
    class Stopped(SourceError):
        pass

    def stop(_: float) -> None:
        raise Stopped("stop")

    running.faults.add(Fault.answer("PATCH", SESSION, 503))
    with pytest.raises(Stopped):
        running.repository().waiting_by(stop).write_stream(Blob())
    assert running.sessions_left == 0


# Which way comes next.


@pytest.mark.parametrize(
    ("host", "rung", "status", "after"),
    [
        ("localhost", Rung("patch"), 413, Rung("chunks", 64 * MIB)),
        ("localhost", Rung("patch"), 416, Rung("patch without length")),
        ("localhost", Rung("patch"), 411, Rung("put")),
        ("localhost", Rung("patch"), 405, Rung("put")),
        ("localhost", Rung("patch"), 500, None),
        ("localhost", Rung("patch without length"), 411, Rung("patch")),
        ("localhost", Rung("chunks", 64 * MIB), 413, Rung("chunks", 16 * MIB)),
        ("localhost", Rung("chunks", MIB), 413, None),
        ("localhost", Rung("chunks", 4 * MIB), 405, Rung("put")),
        ("localhost", Rung("put"), 413, Rung("chunks", 64 * MIB)),
        ("localhost", Rung("put"), 405, None),
        ("ghcr.io", Rung("patch without length"), 413, Rung("chunks", 4 * MIB)),
        ("europe-docker.pkg.dev", Rung("patch"), 413, None),
        ("team.jfrog.io", Rung("patch"), 405, Rung("put")),
    ],
)
def test_the_next_way_follows_from_what_is_refused(host: str, rung: Rung, status: int, after: Rung | None) -> None:
    error = DistributionError("no", status=status)
    assert Ladder(find_registry(host)).after(rung, error, size_bytes=1 << 30, losses=0) == after


# What can be had once more of a pass.


@given(
    st.lists(st.binary(min_size=1, max_size=9), max_size=12),
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 110), st.integers(0, 110)), max_size=6),
)
def test_a_pass_gives_any_bytes_that_it_reaches(
    blocks: list[bytes], rereadable: bool, spans: list[tuple[int, int]]
) -> None:
    whole = b"".join(blocks)

    class Once:
        def __len__(self) -> int:
            return len(whole)

        def __iter__(self) -> Iterator[bytes]:
            return iter(blocks)

    class Again(Once):
        def again(self, start: int, stop: int) -> Iterator[bytes]:
            yield whole[start:stop]

    feed = Feed(Again() if rereadable else Once())
    for start, stop in spans:
        if feed.reaches(start):
            assert b"".join(feed.read(start, stop)) == whole[start:stop]
        else:
            assert start > feed.taken or not rereadable
            with pytest.raises(DistributionError):
                next(feed.read(start, stop))


def limit(running: Running, most_bytes: int, status: int = 413) -> None:
    """Refuse requests that state more."""
    running.faults.add(Fault.answer("PATCH", SESSION, status, times=999, longer_than=most_bytes, drain=False))
    running.faults.add(Fault.answer("PUT", SESSION, status, times=999, longer_than=most_bytes, drain=False))
