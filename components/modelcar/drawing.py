"""Results drawn for people: what moved, what did not have to, and how one thing led to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from modelcar.quantities import format_bytes, format_seconds

if TYPE_CHECKING:
    from modelcar.build import Build
    from modelcar.forecast import Forecast
    from modelcar.gpu.fit import Fit
    from modelcar.model_registry.registration import RegisteredVersion
    from modelcar.plan import PlannedLayer
    from modelcar.promotion import Promotion
    from modelcar.push import PushedImage
    from modelcar.snapshot import LeftOut, ModelSnapshot
    from modelcar.workspace.download import Downloaded

BAR_CELLS = 24
_MOST_ROWS = 12


def draw_push(image: PushedImage, console: Console | None = None) -> None:
    """Where the image is, and what each layer took."""
    console = console or _stdout()
    _draw_image(console, image)
    _draw_left_out(console, image.snapshot.left_out)
    _line(
        console,
        f"{format_bytes(image.bytes_read)} read, {format_bytes(image.bytes_uploaded)} sent, "
        f"{format_bytes(image.bytes_reused)} reused, in {image.seconds:.1f} s.",
    )


def draw_plan(build: Build, forecast: Forecast | None = None, console: Console | None = None) -> None:
    """What a push would move, and what that costs and meets."""
    console = console or _stdout()
    plan = forecast.plan if forecast is not None else build.plan
    platforms = ", ".join(str(one.platform) for one in plan.platforms)
    _line(console, f"{_source(plan.snapshot)} → {build.destination.name} ({platforms})", "bold")
    table = _table()
    for planned in plan.layers[:_MOST_ROWS]:
        fate = _fate(planned)
        size_bytes = planned.layer.size_bytes
        table.add_row(planned.layer.title, format_bytes(size_bytes), _bar(size_bytes, plan.size_bytes), fate)
    console.print(table)
    _more(console, len(plan.layers))
    _draw_left_out(console, plan.snapshot.left_out)
    _line(console, f"{format_bytes(plan.size_bytes)} in all, {format_bytes(plan.reused_bytes)} of it reused.")
    if forecast is not None:
        _draw_forecast(console, forecast)


def _fate(planned: PlannedLayer) -> str:
    """What will become of a layer, and where it is."""
    if planned.reusable and planned.origin is not None:
        return f"{'copied' if planned.is_copied else 'mounted'} from {planned.origin.repository.name}"
    if planned.reusable:
        return "reused"
    return "compared first" if planned.candidate is not None else "read and sent"


def _draw_forecast(console: Console, forecast: Forecast) -> None:
    compared = f", {format_bytes(forecast.compared_bytes)} of it to compare" if forecast.compared_bytes else ""
    _line(
        console,
        f"{format_bytes(forecast.read_bytes)} to read{compared}; {format_bytes(forecast.sent_bytes)} to send at most.",
    )
    fates = {fate: [layer for layer, its in forecast.base if its is fate] for _, fate in forecast.base}
    for fate, layers in fates.items():
        size_bytes = sum(layer.descriptor.size_bytes for layer in layers)
        many = f"{len(layers)} layers" if len(layers) > 1 else "1 layer"
        _line(console, f"Base image: {many}, {format_bytes(size_bytes)}, {fate.value}.")
    times = [f"{format_seconds(seconds)} at {_rate(rate)}" for rate, seconds in forecast.rates]
    if forecast.sent_bytes:
        _line(console, f"That takes at least {' or '.join(times)}; no rate was measured.")
    for hit in forecast.limits:
        _line(console, f"A push would be refused: {hit.sentence}.", "red")
        _line(console, f"  {hit.way_out}")
    if forecast.fit is not None:
        _draw_fit(console, forecast.fit)
    if forecast.no_fit:
        _line(console, f"Whether it fits the GPU cannot be told: {forecast.no_fit}.")


def _draw_fit(console: Console, fit: Fit) -> None:
    """The sum, for one GPU, and what comes of it."""
    shared = f", which share it {fit.sharing_gpus} ways" if fit.sharing_gpus > 1 else ""
    memory = (
        f"{format_bytes(fit.gpu_memory_bytes)} ({fit.gpu_memory_from})" if fit.gpu_memory_bytes else "unknown memory"
    )
    gpus = "1 GPU" if fit.server.gpus == 1 else f"{fit.server.gpus} GPUs"
    _line(console, f"{fit.server.name} asks for {gpus} of {memory}{shared}; vLLM takes {fit.utilization:.0%} of each.")
    table = _table()
    table.add_row("weights", format_bytes(fit.weights_bytes), "", "")
    table.add_row("a step's working memory", format_bytes(fit.estimated_bytes), "", "an estimate")
    per_token = f"{format_bytes(fit.kv_bytes_per_token)} a token"
    table.add_row(f"KV cache of {fit.context_tokens} tokens", format_bytes(fit.kv_bytes), "", per_token)
    if fit.left_bytes is not None:
        table.add_row("left for KV caches", format_bytes(max(0, fit.left_bytes)), "", "")
    console.print(table)
    if fit.remark:
        _line(console, f"Assumed: {fit.remark}.", "yellow")
    if fit.fits:
        _line(console, f"It fits, with {fit.requests or 0:.1f} requests of that length at once.", "green")
    for because, way_out in fit.faults:
        _line(console, f"It does not fit: {because}.", "red")
        _line(console, f"  {way_out}")
    if fit.fits is None:
        _line(console, f"A GPU of {fit.needed_gpu_memory} would do; --gpu-memory says what it has.", "yellow")


def _rate(bytes_per_s: int) -> str:
    gigabits = bytes_per_s / 125_000_000
    return f"{gigabits:.0f} Gbit/s" if gigabits in (1, 10) else f"{format_bytes(bytes_per_s)}/s"


def draw_download(downloaded: Downloaded, console: Console | None = None) -> None:
    """Where the model is, and what that took."""
    console = console or _stdout()
    _line(console, f"{_source(downloaded.snapshot)} → {downloaded.directory}", "bold")
    _draw_left_out(console, downloaded.snapshot.left_out)
    _line(
        console,
        f"{format_bytes(downloaded.bytes_read)} read, {format_bytes(downloaded.bytes_reused)} reused, "
        f"in {downloaded.seconds:.1f} s.",
    )


def draw_registration(registered: RegisteredVersion, console: Console | None = None) -> None:
    """What the Model Registry has now."""
    console = console or _stdout()
    made = f"made {', '.join(registered.created)}" if registered.created else "all of it was there"
    _line(
        console,
        f"Model Registry: {registered.registered_model} / {registered.version} "
        f"(version id {registered.model_version_id}): {made}",
        "bold",
    )


def draw_promotion(promotion: Promotion, console: Console | None = None) -> None:
    """The whole chain, from the source to the commit, and what did not have to be done."""
    console = console or _stdout()
    image, patch, where = promotion.push, promotion.patch, promotion.spec.inference_service
    _line(console, _source(image.snapshot), "bold")
    _arrow(console, f"read {format_bytes(image.bytes_read)}, sent {format_bytes(image.bytes_uploaded)}")
    _draw_image(console, image)
    _arrow(console, "registered" if promotion.register.created else "looked up")
    draw_registration(promotion.register, console)
    _arrow(console, "committed" if patch.changed else "compared")
    commit = f"commit {patch.commit[:12]}" if patch.commit is not None else "no commit"
    _line(console, f"git: {where.path} on {where.branch}, {commit}", "bold")
    _draw_diff(console, patch.diff)
    _draw_left_out(console, image.snapshot.left_out)
    if spared := _spared(promotion):
        console.print()
        _line(console, f"Not needed this time: {', '.join(spared)}.", "green")


def _spared(promotion: Promotion) -> list[str]:
    """What a promotion found done."""
    image = promotion.push
    spared = []
    if image.bytes_read == 0:
        spared.append("no byte of the model was read")
    if image.bytes_uploaded == 0:
        spared.append("no byte was sent")
    elif image.bytes_reused:
        spared.append(f"{format_bytes(image.bytes_reused)} of layers were reused")
    if not promotion.register.created:
        spared.append("no model version was made")
    if not promotion.patch.changed:
        spared.append("no commit was made")
    return spared


def _draw_image(console: Console, image: PushedImage) -> None:
    _line(console, image.image, "bold")
    if image.tags:
        _line(console, f"  tags {', '.join(image.tags)}", "dim")
    for platform, digest in image.platforms.items() if len(image.platforms) > 1 else ():
        _line(console, f"  {platform} {digest}", "dim")
    table = _table()
    for layer in image.layers[:_MOST_ROWS]:
        fate = Text("reused", "green") if layer.reused else Text("sent")
        bar = _bar(layer.size_bytes, image.size_bytes, "green" if layer.reused else "cyan")
        table.add_row(layer.title, format_bytes(layer.size_bytes), bar, fate)
    console.print(table)
    _more(console, len(image.layers))
    if image.referrers is not None and image.referrers.copied:
        _line(console, f"  {len(image.referrers.copied)} referrers came along (signatures, SBOMs and the like)")
    if image.referrers is not None and image.referrers.left:
        _line(console, f"  {len(image.referrers.left)} referrers of the source stayed behind; they are of its digest")


def _draw_diff(console: Console, diff: str) -> None:
    styles = {"+": "green", "-": "red", "@": "cyan"}
    for line in diff.splitlines():
        _line(console, f"  {line}", styles.get(line[:1]))


def _draw_left_out(console: Console, left_out: tuple[LeftOut, ...]) -> None:
    for file in left_out[:_MOST_ROWS]:
        _line(console, f"  left out: {file.path} ({format_bytes(file.size_bytes)}): {file.reason}", "dim")
    _more(console, len(left_out))


def _source(snapshot: ModelSnapshot) -> str:
    commit = f"@{snapshot.commit_hash[:12]}" if snapshot.commit_hash is not None else ""
    return f"{snapshot.uri}{commit}: {len(snapshot.files)} files, {format_bytes(snapshot.size_bytes)}"


def _bar(part: int, whole: int, style: str = "cyan") -> Text:
    cells = round(BAR_CELLS * part / max(1, whole))
    return Text("█" * cells if cells else "▏", style)


def _table() -> Table:
    table = Table.grid(padding=(0, 2), pad_edge=True)
    table.add_column(overflow="fold")
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    return table


def _more(console: Console, count: int) -> None:
    if count > _MOST_ROWS:
        _line(console, f"  … and {count - _MOST_ROWS} more", "dim")


def _arrow(console: Console, label: str) -> None:
    _line(console, "  │", "dim")
    _line(console, f"  ▼ {label}", "dim")


def _line(console: Console, text: str, style: str | None = None) -> None:
    """One line as it is: no markup, no wrapping in the middle of a digest."""
    console.print(Text(text, style or ""), soft_wrap=True, highlight=False)


def _stdout() -> Console:
    return Console()
