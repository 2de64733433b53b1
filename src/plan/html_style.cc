#include "plan/html_report.h"

namespace fathom {

std::string_view ReportStyle() {
  return R"CSS(:root {
  color-scheme: light dark;
  --paper: #fbfaf8; --card: #ffffff; --ink: #1c1f24; --soft: #5b626d; --faint: #8b919b;
  --rule: #e4e2dd; --grid: #ebe9e4; --accent: #1f5fbf; --accent-soft: #dfe9f8;
  --low: #2f73c9; --high: #d9772b; --good: #1d7f4e; --bad: #b3372d; --bad-soft: #fbe9e7;
  --c0: #2f73c9; --c1: #e0873a; --c2: #3d9970; --c3: #a05fb8; --c4: #c9a227; --c5: #4aa5b8;
  --c6: #c4566b; --c7: #7d848f;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14161a; --card: #1c1f25; --ink: #e8e9eb; --soft: #a5acb7; --faint: #7b828d;
    --rule: #2d3138; --grid: #2a2e35; --accent: #7fb0f5; --accent-soft: #22324a;
    --low: #5b97e0; --high: #e8954f; --good: #5cc492; --bad: #f08a80; --bad-soft: #3a2321;
    --c0: #5b97e0; --c1: #e8954f; --c2: #5bb98e; --c3: #bd85d2; --c4: #d9b84a; --c5: #67bccd;
    --c6: #dc7a8c; --c7: #9aa1ac;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  font-variant-numeric: tabular-nums; }
h1 { font-size: 1.75rem; line-height: 1.2; letter-spacing: -0.015em; margin: 0 0 .35rem; }
h2 { font-size: 1.08rem; margin: 0 0 .7rem; letter-spacing: -0.005em; }
h2::first-letter, nav a::first-letter { text-transform: uppercase; }
a { color: var(--accent); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 3px; }
code { font: .88em ui-monospace, "SF Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.report { max-width: 1180px; margin: 0 auto; padding: 2.2rem 1.4rem 3rem; }
.brand { color: var(--accent); font-weight: 650; font-size: .82rem; letter-spacing: .08em;
  text-transform: uppercase; margin: 0 0 .5rem; }
.made { color: var(--soft); margin: 0 0 1.4rem; }
.made code { background: var(--card); border: 1px solid var(--rule); border-radius: 5px;
  padding: .12rem .4rem; }
.columns { display: grid; gap: 2rem; }
@media (min-width: 1000px) { .columns { grid-template-columns: 190px minmax(0, 1fr); }
  .columns > nav { position: sticky; top: 1.2rem; align-self: start; } }
nav ul { list-style: none; margin: 0; padding: 0; font-size: .86rem; }
nav li { margin: 0 0 .42rem; line-height: 1.3; }
nav a { color: var(--soft); text-decoration: none; display: inline-block; }
nav a:hover { color: var(--accent); text-decoration: underline; }
.headlines { display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); gap: 1rem;
  margin: 0 0 1.4rem; padding: 0; list-style: none; }
.headlines li, section.card { background: var(--card); border: 1px solid var(--rule);
  border-radius: 10px; }
.headlines:has(> :nth-child(5)) { grid-template-columns: repeat(auto-fit, minmax(min(255px, 100%), 1fr)); }
.headlines li { padding: .95rem 1.1rem .85rem; display: flex; flex-direction: column; }
.headlines .what { color: var(--soft); font-size: .88rem; line-height: 1.35; flex: 1; }
.headlines .what::first-letter { text-transform: uppercase; }
.headlines strong { font-size: 1.7rem; letter-spacing: -0.02em; display: block; margin: .2rem 0; }
.headlines .range-text { color: var(--soft); font-size: .84rem; display: block; }
.headlines svg.interval { display: block; margin: .1rem 0 .2rem; }
section.card { padding: 1.1rem 1.3rem 1.2rem; margin: 0 0 1.2rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th { text-align: left; font-weight: 550; }
thead th { color: var(--faint); font-size: .76rem; font-weight: 550; border-bottom: 1px solid var(--rule);
  padding: 0 .7rem .35rem 0; white-space: nowrap; }
tbody th { font-weight: 400; }
tbody th::first-letter { text-transform: uppercase; }
tbody td, tbody th { padding: .36rem .7rem .36rem 0; border-bottom: 1px solid var(--grid);
  vertical-align: top; }
tbody tr:last-child > * { border-bottom: 0; }
tbody tr.total > * { font-weight: 620; border-top: 1px solid var(--faint); }
td.number, th.number { text-align: right; white-space: nowrap; padding-left: .9rem; }
td.number { font-weight: 560; }
table.rows { min-width: 640px; }
table.rows thead th:first-child { width: 27%; } table.rows thead th.number { width: 14%; }
th.range-cell { width: 17%; } th.origin-cell { width: 6.6rem; }
table.rows tbody th, table.rows td.number { padding-right: 1.1rem; }
table.rows thead th.number { padding-right: 1.1rem; }
td.range-cell { color: var(--soft); font-size: .8rem; line-height: 1.3; }
td.range-cell svg.interval { display: block; margin: .28rem 0 .1rem; }
td.note { color: var(--soft); font-size: .86rem; }
td.text { font-weight: 400; }
.origin { display: inline-flex; align-items: center; gap: .36rem; font-size: .78rem;
  color: var(--soft); white-space: nowrap; }
.origin::before { content: ""; width: .62rem; height: .62rem; border: 2px solid currentColor; }
.origin.input::before { border-color: var(--c7); border-radius: 2px; }
.origin.prediction::before { border-color: var(--c0); background: var(--c0); border-radius: 50%; }
.origin.identity::before { border-color: var(--c2); border-width: 2px 0; height: .42rem; }
.checked { color: var(--good); background: none; }
.legend { display: flex; flex-wrap: wrap; gap: .35rem 1.3rem; color: var(--soft); font-size: .84rem;
  margin: 0 0 1.3rem; padding: 0; list-style: none; }
.hint { color: var(--soft); font-size: .86rem; margin: 0 0 .6rem; }
figure { margin: 0; }
figure + figure, figure + .scroll, .scroll + figure { margin-top: 1rem; }
figcaption { color: var(--soft); font-size: .86rem; margin: 0 0 .5rem; }
.key-low, .key-high { white-space: nowrap; }
.key-low::before, .key-high::before { content: ""; display: inline-block; width: .72rem;
  height: .72rem; border-radius: 2px; margin-right: .35rem; vertical-align: -1px; }
.key-low::before { background: var(--low); } .key-high::before { background: var(--high); }
svg { display: block; width: 100%; height: auto; max-width: 860px; font-size: 12.5px; }
svg text { fill: var(--ink); } svg .label { fill: var(--ink); } svg .value { font-weight: 600; }
svg .tick { fill: var(--faint); font-size: 11px; } svg .inside { fill: #fff; font-weight: 600; }
svg .grid { stroke: var(--grid); } svg .axis { stroke: var(--faint); }
svg .likely { stroke: var(--ink); stroke-width: 1.5; stroke-dasharray: 3 3; }
svg .bar-low { fill: var(--low); } svg .bar-high { fill: var(--high); }
svg .range { fill: var(--c0); opacity: .35; } svg .dot { fill: var(--c0); }
svg .line { fill: none; stroke-width: 2.2; stroke-linejoin: round; }
svg .s0 { stroke: var(--c0); } svg .s1 { stroke: var(--c1); } svg .s2 { stroke: var(--c2); }
svg .s3 { stroke: var(--c3); } svg .s4 { stroke: var(--c4); } svg .s5 { stroke: var(--c5); }
svg .s6 { stroke: var(--c6); } svg .s7 { stroke: var(--c7); }
svg .c0 { fill: var(--c0); } svg .c1 { fill: var(--c1); } svg .c2 { fill: var(--c2); }
svg .c3 { fill: var(--c3); } svg .c4 { fill: var(--c4); } svg .c5 { fill: var(--c5); }
svg .c6 { fill: var(--c6); } svg .c7 { fill: var(--c7); }
svg.interval { display: inline-block; width: 92px; vertical-align: -1px; margin-right: .5rem; }
details { margin-top: .8rem; font-size: .9rem; }
summary { cursor: pointer; color: var(--soft); }
footer { color: var(--soft); font-size: .86rem; border-top: 1px solid var(--rule); padding-top: 1rem;
  margin-top: 1.6rem; }
@media (max-width: 640px) { .report { padding: 1.2rem .8rem 2rem; } section.card { padding: .9rem; }
  h1 { font-size: 1.4rem; } }
@media print {
  :root { color-scheme: light; --paper: #fff; --card: #fff; --ink: #000; --soft: #444; --faint: #777;
    --rule: #ccc; --grid: #ddd; --low: #2f73c9; --high: #d9772b; --c0: #2f73c9; --c1: #e0873a;
    --c2: #3d9970; --c3: #a05fb8; --c4: #c9a227; --c5: #4aa5b8; --c6: #c4566b; --c7: #7d848f; }
  body { font-size: 10.5pt; } .report { padding: 0; max-width: none; }
  .columns { display: block; } .columns > nav { display: none; }
  section.card { border: 0; border-top: 1px solid var(--rule); border-radius: 0; padding: .6rem 0; }
  section.card, figure, tr { break-inside: avoid; } h2 { break-after: avoid; }
  svg * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
)CSS";
}

}  // namespace fathom
