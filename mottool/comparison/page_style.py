"""Style sheet and script of the comparison's page."""

__all__ = ["SCRIPT", "STYLE"]

STYLE = """
:root { color-scheme: light dark; --text: #222; --soft: #595959; --line: #ddd; --page: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e8e8e8; --soft: #a8a8a8; --line: #444; --page: #16181b; }
}
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page);
  max-width: 100rem; margin: 2rem auto; padding: 0 1.5rem; }
h1, h2 { line-height: 1.2; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
#table { width: 100%; }
th, td { padding: .4rem .6rem; text-align: right; white-space: nowrap; }
th.text, td.text { text-align: left; }
thead { border-bottom: 2px solid var(--text); }
tbody tr { border-bottom: 1px solid var(--line); }
td svg { display: block; width: 1.2rem; height: 1.2rem; background: #fff; border-radius: .2rem; }
th button { font: inherit; font-weight: 600; background: none; border: 0; padding: 0;
  color: inherit; cursor: pointer; }
th button::after { content: " \\2195"; color: var(--soft); }
th[aria-sort=ascending] button::after { content: " \\2191"; color: var(--text); }
th[aria-sort=descending] button::after { content: " \\2193"; color: var(--text); }
.best { font-weight: 700; }
.second { text-decoration: underline; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(32rem, 100%), 1fr));
  gap: 1.5rem; align-items: start; }
figure { margin: 0; break-inside: avoid; }
figure svg { display: block; width: 100%; height: auto; background: #fff; border-radius: .4rem; }
figcaption, .small { color: var(--soft); font-size: .9rem; }
video { width: 100%; background: #000; border-radius: .4rem; }
.swatch { display: inline-block; width: 1.6em; border-top: .2em solid; vertical-align: middle;
  margin: 0 .3em 0 .8em; }
.key { white-space: nowrap; }
.facts th, .facts td { text-align: left; vertical-align: top; white-space: normal; }
.facts th { white-space: nowrap; }
code { font-size: .95em; overflow-wrap: anywhere; }
@media print {
  :root { --text: #000; --soft: #444; --line: #bbb; --page: #fff; }
  body { max-width: none; margin: 0; font-size: 10pt; }
  th button::after { content: ""; }
  video { display: none; }
  .grid { grid-template-columns: 1fr 1fr; }
}
"""
SCRIPT = """
for (const [column, head] of document.querySelectorAll("#table th").entries()) {
  head.firstChild?.addEventListener("click", () => {
    const next = head.getAttribute("aria-sort") === "descending" ? "ascending" : "descending";
    const order = head.hasAttribute("aria-sort") ? next : head.dataset.first;
    for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const key = row => row.cells[column].dataset.value;
    const body = document.querySelector("#table tbody");
    const compare = (a, b) => head.dataset.kind === "text"
      ? sign * key(a).localeCompare(key(b))
      : key(a) === "" ? 1 : key(b) === "" ? -1 : sign * (key(a) - key(b));
    body.append(...[...body.rows].sort(compare));
  });
}
"""
