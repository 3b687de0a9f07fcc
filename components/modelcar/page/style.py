"""The one style sheet of pages and of what notebooks draw.

All colours are mixed from a text colour and a background, which a notebook's own theme gives where there is one, so
that what is drawn can be read in light and dark alike. Everything is below `.modelcar`, to leave a notebook as it is.
"""

from __future__ import annotations

from typing import Final

_RULES: Final = """
.modelcar {
  --own-bg: #ffffff; --own-fg: #1b2027;
  --bg: var(--jp-layout-color0, var(--vscode-editor-background, var(--own-bg)));
  --fg: var(--jp-content-font-color1, var(--vscode-editor-foreground, var(--own-fg)));
  --muted: color-mix(in oklab, var(--fg) 66%, var(--bg));
  --line: color-mix(in oklab, var(--fg) 15%, var(--bg));
  --soft: color-mix(in oklab, var(--fg) 4%, var(--bg));
  --sent: color-mix(in oklab, #2f7fe0 88%, var(--fg));
  --kept: color-mix(in oklab, #2aa37a 58%, var(--bg));
  --good: color-mix(in oklab, #14915f 82%, var(--fg));
  --bad: color-mix(in oklab, #d5353f 82%, var(--fg));
  --calm: color-mix(in oklab, #6b7a90 82%, var(--fg));
  color: var(--fg); background: var(--bg); color-scheme: light dark;
  font: 14px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  overflow-wrap: anywhere;
}
@media (prefers-color-scheme: dark) { .modelcar { --own-bg: #14171c; --own-fg: #e4e7eb; } }
body.modelcar { margin: 0; }
body.modelcar main { max-width: 1080px; margin: 0 auto; padding: 28px 24px 40px; }
.modelcar h1 { font-size: 22px; line-height: 1.3; margin: 0; font-weight: 650; color: var(--fg); }
.modelcar h2 { font-size: 15px; margin: 0 0 10px; font-weight: 650; color: var(--fg); }
.modelcar p { margin: 0; }
.modelcar a { color: var(--sent); text-decoration: underline; text-underline-offset: 2px; }
.modelcar code, .modelcar pre { font: 12.5px/1.55 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
.modelcar code { background: none; color: inherit; padding: 0; unicode-bidi: isolate; }
.modelcar bdi { unicode-bidi: isolate; }
.modelcar .muted { color: var(--muted); }
.modelcar .unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }

.modelcar header { display: flex; flex-wrap: wrap; gap: 6px 14px; align-items: flex-start; }
.modelcar header h1 { flex: 1 1 300px; }
.modelcar header .lead { flex: 1 0 100%; font-size: 15px; color: var(--muted); }
.modelcar .pill { order: 1; white-space: nowrap; border-radius: 99px; padding: 3px 12px; font-size: 12px;
  font-weight: 650;
  letter-spacing: .03em; color: var(--tone); border: 1px solid color-mix(in oklab, var(--tone) 45%, var(--bg));
  background: color-mix(in oklab, var(--tone) 11%, var(--bg)); }
.modelcar header .lead { order: 2; }
.modelcar .succeeded { --tone: var(--good); } .modelcar .failed { --tone: var(--bad); }
.modelcar .skipped, .modelcar .pending, .modelcar .canceled { --tone: var(--calm); }
.modelcar .running { --tone: var(--sent); }

.modelcar section { margin-top: 30px; }
.modelcar .pair { display: flex; flex-wrap: wrap; gap: 0 40px; } .modelcar .pair section { flex: 1 1 300px; }
.modelcar .pair dl { margin-bottom: 0; }
.modelcar .notice { margin-top: 20px; padding: 14px 18px; border: 1px solid var(--line);
  border-left: 4px solid var(--tone); border-radius: 6px;
  background: color-mix(in oklab, var(--tone) 6%, var(--bg)); }
.modelcar .notice h2 { margin-bottom: 4px; color: var(--tone); }
.modelcar .notice .what { white-space: pre-wrap; }
.modelcar .notice .do { margin-top: 8px; white-space: pre-wrap; }

.modelcar .chain { list-style: none; display: flex; align-items: stretch; margin: 22px 0 0; padding: 0; }
.modelcar .chain .node { flex: 1 1 0; min-width: 0; border: 1px solid var(--line); border-radius: 8px;
  padding: 10px 14px 12px; background: var(--soft); border-top: 3px solid var(--tone); margin: 0; }
.modelcar .chain .none { border-style: dashed; border-top: 3px dashed var(--line); background: none;
  color: var(--muted); }
.modelcar .chain .kind { font-size: 11px; letter-spacing: .06em; text-transform: uppercase; color: var(--muted);
  display: block; }
.modelcar .chain .name { font-weight: 650; margin: 1px 0 2px; }
.modelcar .chain .more { font-size: 12.5px; color: var(--muted); }
.modelcar .chain .name, .modelcar .chain .more { display: -webkit-box; -webkit-box-orient: vertical;
  -webkit-line-clamp: 4; overflow: hidden; }
.modelcar .chain .edge { flex: 0 0 84px; text-align: center;
  font-size: 11.5px; line-height: 1.3; color: var(--muted); margin: 0; padding: 26px 6px 0; }
.modelcar .chain svg { display: block; width: 100%; height: 10px; margin: 4px 0; }
.modelcar .chain .down { display: none; }
.modelcar .arrow { fill: none; stroke: var(--muted); stroke-width: 1.5; }

.modelcar table { border-collapse: collapse; table-layout: auto; width: 100%;
  font-size: 13.5px; margin: 0; color: inherit; }
.modelcar th { text-align: left; font-weight: 500; color: var(--muted); font-size: 12px; padding: 2px 12px 4px 0; }
.modelcar td { padding: 4px 12px 4px 0; vertical-align: baseline; border: 0; border-top: 1px solid var(--line);
  text-align: left; background: none; }
.modelcar td:first-child { width: 32%; }
.modelcar .wide td:first-child { width: auto; }
.modelcar .wide td { padding-right: 24px; }
.modelcar .wide td:last-child { padding-right: 0; }
.modelcar tbody tr:nth-child(n) { background: none; }
.modelcar .marked { display: flex; }
.modelcar .number { text-align: right; white-space: nowrap; width: 1%; padding-left: 12px;
  font-variant-numeric: tabular-nums; }
.modelcar .drawn { width: 26%; min-width: 90px; }
.modelcar .mark { color: var(--tone); font-weight: 700; display: inline-block; flex: none; width: 1.4em; }
.modelcar .scroll { overflow-x: auto; }

.modelcar .bar { display: block; width: 100%; height: 8px; align-self: center; border-radius: 4px;
  background: color-mix(in oklab, var(--fg) 7%, var(--bg)); overflow: hidden; }
.modelcar .stack { display: block; width: 100%; height: 26px; border-radius: 6px; overflow: hidden;
  background: color-mix(in oklab, var(--fg) 7%, var(--bg)); }
.modelcar .sent { fill: var(--sent); } .modelcar .kept { fill: var(--kept); } .modelcar .time { fill: var(--calm); }
.modelcar .legend { display: flex; flex-wrap: wrap; gap: 2px 20px; margin: 8px 0 12px; font-size: 13px; }
.modelcar .legend svg { width: 11px; height: 11px; margin-right: 6px; display: inline-block; vertical-align: -1px; }

.modelcar dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 4px 18px; margin: 0 0 14px; }
.modelcar dt { color: var(--muted); font-weight: 400; margin: 0; float: none; width: auto; overflow: visible; }
.modelcar dd { margin: 0; padding: 0; float: none; width: auto; }
.modelcar details { margin-top: 8px; } .modelcar summary { cursor: pointer; color: var(--muted); }
.modelcar pre { margin: 0; padding: 10px 0; overflow-x: auto; border: 1px solid var(--line); border-radius: 6px;
  background: var(--soft); color: inherit; overflow-wrap: normal; }
.modelcar pre code { display: block; min-width: max-content; }
.modelcar pre span { display: block; padding: 0 14px; white-space: pre; }
.modelcar .added { background: color-mix(in oklab, var(--good) 16%, var(--bg)); }
.modelcar .removed { background: color-mix(in oklab, var(--bad) 15%, var(--bg)); }
.modelcar .place { color: var(--sent); } .modelcar .file { color: var(--muted); }

@media (max-width: 800px) {
  body.modelcar main { padding: 18px 16px 28px; }
  .modelcar .chain { flex-direction: column; }
  .modelcar .chain .edge { display: flex; flex-basis: auto; align-items: center;
    gap: 8px; padding: 2px 0 2px 14px; text-align: left; }
  .modelcar .chain .down { display: block; width: 10px; height: 26px; margin: 0; }
  .modelcar .chain .across { display: none; }
}
@media (max-width: 520px) {
  .modelcar dl { grid-template-columns: minmax(0, 1fr); gap: 0; }
  .modelcar dd { margin-bottom: 6px; }
}
@media print { .modelcar pre { white-space: pre-wrap; } }
"""
STYLE: Final = _RULES.replace(".modelcar ", ".modelcar.modelcar ")
"""Every rule names its class twice, and so goes before a notebook's own for tables, headings and code, and before those
of the lists of names and values, which JupyterLab lets float."""
