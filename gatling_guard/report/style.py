"""The style sheet of a page: light, dark and paper. Contrast of all text is at least 4.5 : 1."""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #ffffff; --card: #f6f7f9; --ink: #1c2430; --soft: #566072; --rule: #d5dae2;
  --mark: #ffe89a; --mark-ink: #3a2c00; --code: #eef1f5;
  --good: #1a7340; --wait: #8a5a00; --bad: #b3261e; --calm: #0b6575; --unknown: #566072;
  --internal: #3d6ea8; --partner: #8a5a00; --public: #b3261e;
  --hierarchy: #7b4bb3; --provenance: #b3261e; --scope: #2f7d77; --flow: #b06000;
  --other: #667085;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14181f; --card: #1d232d; --ink: #e8ecf2; --soft: #a7b1c2; --rule: #38414f;
    --mark: #6b5300; --mark-ink: #fff3c9; --code: #242c38;
    --good: #62c98b; --wait: #e7b04b; --bad: #ff8a80; --calm: #5cc4d6; --unknown: #a7b1c2;
    --internal: #82b1ea; --partner: #e7b04b; --public: #ff8a80;
    --hierarchy: #b992ea; --provenance: #ff8a80; --scope: #63c2ba; --flow: #f0a557;
    --other: #98a2b3;
  }
}
@media print {
  :root {
    --page: #fff; --card: #fff; --ink: #000; --soft: #444; --rule: #bbb;
    --mark: #ffe89a; --mark-ink: #000; --code: #f3f3f3;
    --good: #1a7340; --wait: #8a5a00; --bad: #b3261e; --calm: #0b6575; --unknown: #566072;
    --internal: #3d6ea8; --partner: #8a5a00; --public: #b3261e;
    --hierarchy: #7b4bb3; --provenance: #b3261e; --scope: #2f7d77; --flow: #b06000;
  }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .drawing { overflow: visible !important; }
  .drawing svg { max-width: 100%; max-height: 20cm; height: auto; }
  html body { padding: 0; max-width: none; }
  h1, h2, h3, summary, tr:first-child { break-after: avoid; }
  section, details, table, .arg { break-inside: auto; }
  tr, li, summary, blockquote, .drawing, .legend, .head { break-inside: avoid; }
  p, blockquote, pre { orphans: 2; widows: 2; }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 28px 20px 60px; max-width: 1120px; background: var(--page);
  color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
h1 { font-size: 24px; line-height: 1.3; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 16px; margin: 30px 0 10px; }
h3 { font-size: 15px; margin: 0 0 2px; overflow-wrap: anywhere; }
p { margin: 4px 0; }
bdi { overflow-wrap: anywhere; }
code, pre, .value { font: 13px/1.45 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
pre {
  margin: 6px 0 0; padding: 9px 12px; background: var(--code); border-radius: 6px;
  white-space: pre-wrap; overflow-wrap: anywhere;
}
.soft { color: var(--soft); }
.small { font-size: 13px; }
.head { display: flex; gap: 14px; align-items: baseline; flex-wrap: wrap; }
.badge {
  border: 1.5px solid currentColor; border-radius: 999px; padding: 1px 11px; font-weight: 650;
  font-size: 14px; white-space: nowrap;
}
.tag {
  border: 1px solid currentColor; border-radius: 5px; padding: 0 6px; font-size: 12px;
  font-weight: 600; white-space: nowrap;
}
.allow, .repair { color: var(--good); } .repair { color: var(--calm); }
.hold { color: var(--wait); } .block { color: var(--bad); } .unknown { color: var(--unknown); }
.internal { color: var(--internal); } .partner { color: var(--partner); }
.public { color: var(--public); } .named { color: var(--good); }
.why { font-size: 16px; margin: 12px 0 0; overflow-wrap: anywhere; }
.drawing {
  overflow-x: auto; border: 1px solid var(--rule); border-radius: 10px; padding: 4px;
  background: var(--card);
}
.drawing svg { display: block; margin: 0 auto; }
.legend { display: flex; gap: 6px 18px; flex-wrap: wrap; margin-top: 6px; }
.legend svg { vertical-align: middle; margin-right: 5px; }
.link .line { fill: none; stroke: currentColor; stroke-width: 1.6; }
.link.partner .line { stroke-dasharray: 7 4; }
.link.public .line { stroke-width: 2.6; }
.link .tip { fill: currentColor; }
.label {
  font: 600 11px system-ui, sans-serif; fill: currentColor; paint-order: stroke;
  stroke: var(--card); stroke-width: 4px; stroke-linejoin: round;
}
.call .box { fill: var(--page); stroke: var(--rule); stroke-width: 1.2; }
.call .edge { fill: currentColor; }
.call .tool { font: 600 13.5px system-ui, sans-serif; fill: var(--ink); }
.call .id { font: 11.5px ui-monospace, SFMono-Regular, Menlo, monospace; fill: var(--soft); }
.call .said { font: 12px system-ui, sans-serif; fill: currentColor; }
.call.focus .box { stroke: currentColor; stroke-width: 3; }
.call.gone .box { fill: none; stroke: currentColor; stroke-dasharray: 5 4; }
.call.gone .tool { text-decoration: line-through; fill: var(--soft); }
.gone { color: var(--bad); } b.gone { text-decoration: line-through; color: inherit; }
.sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr));
  gap: 14px; }
figure { margin: 0; min-width: 0; display: flex; flex-direction: column; }
figure .drawing { flex: 1; }
figcaption { font-weight: 600; font-size: 14px; margin: 0 0 6px; color: var(--soft); }
.fall { vertical-align: middle; } .fall .was { fill: var(--bad); } .fall .now { fill: var(--good); }
.diff { table-layout: fixed; } .diff td { overflow-wrap: anywhere; }
.diff tr > :first-child { width: 20%; } .diff tr:last-child td { border: 0; padding-bottom: 0; }
td.was mark { background: color-mix(in srgb, var(--bad) 22%, transparent); color: inherit; }
td.now mark { background: color-mix(in srgb, var(--good) 22%, transparent); color: inherit; }
.table { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-weight: 600; font-size: 13px; color: var(--soft); }
th, td { padding: 7px 12px 7px 0; border-bottom: 1px solid var(--rule); vertical-align: top; }
td.term { white-space: nowrap; }
h3 .small { font-weight: 400; }
details h2 { font-size: 14px; margin: 16px 0 6px; color: var(--soft); }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
.arg { border: 1px solid var(--rule); border-radius: 10px; padding: 11px 14px; margin: 9px 0;
  background: var(--card); }
.arg .value { display: block; margin: 2px 0 4px; overflow-wrap: anywhere; }
blockquote {
  margin: 5px 0; padding: 2px 0 2px 11px; border-left: 3px solid currentColor;
  overflow-wrap: anywhere;
}
blockquote bdi { color: var(--ink); }
mark { background: var(--mark); color: var(--mark-ink); border-radius: 3px; padding: 0 2px; }
.scale { position: relative; height: 46px; margin: 4px 0 8px; }
.scale svg { display: block; width: 100%; height: 46px; }
.term-hierarchy { fill: var(--hierarchy); color: var(--hierarchy); }
.term-provenance { fill: var(--provenance); color: var(--provenance); }
.term-scope { fill: var(--scope); color: var(--scope); }
.term-flow { fill: var(--flow); color: var(--flow); }
.term-other { fill: var(--other); color: var(--other); }
.dot { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 6px;
  background: currentColor; }
ol.todo { padding-left: 20px; margin: 0; } ol.todo li { margin: 0 0 12px; }
details { border-top: 1px solid var(--rule); padding: 9px 0; }
summary { cursor: pointer; overflow-wrap: anywhere; }
summary:focus-visible { outline: 2px solid var(--internal); outline-offset: 2px; }
footer { margin-top: 34px; }
@media (max-width: 560px) {
  body { padding: 18px 12px 40px; } h1 { font-size: 20px; }
  .edits tr:first-child { display: none; } .edits td { display: block; border: 0; padding: 2px 0; }
  .edits td.number { text-align: left; } .edits td.number::before { content: "cost "; }
  .edits td:last-child { border-bottom: 1px solid var(--rule); padding-bottom: 10px; }
}
"""
