"use strict";
// Filter and sort the table of packages. Without it the page still shows everything.
(() => {
  const table = document.getElementById("packages");
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const abis = heads.map((head) => head.dataset.abi);
  const rows = [...body.rows].map((row, place) => ({ row, place, name: row.cells[0].textContent.toLowerCase() }));
  const [name, verdict, abi, base, shown] = ["name", "verdict", "abi", "base", "shown"].map((id) => document.getElementById(id));
  const collator = new Intl.Collator("en", { numeric: true });

  const fits = (row) => !verdict.value && !abi.value && !base.value ? true : [...row.cells].some((cell, column) =>
    abis[column] && (!abi.value || abis[column] === abi.value) && cell.dataset.v && (!verdict.value || cell.dataset.v === verdict.value)
    && (!base.value || (cell.dataset.n ?? "").split(" ").includes(base.value)));

  function filter() {
    const part = name.value.trim().toLowerCase();
    let count = 0;
    for (const one of rows) {
      one.row.hidden = !(one.name.includes(part) && fits(one.row));
      count += !one.row.hidden;
    }
    shown.value = `${count} shown`;
    const state = new URLSearchParams([["name", name.value], ["verdict", verdict.value], ["abi", abi.value], ["base", base.value]].filter((pair) => pair[1]));
    history.replaceState(null, "", state.size ? `#${state}` : location.pathname + location.search);
  }

  function sort(column) {
    const up = heads[column].getAttribute("aria-sort") !== "ascending";
    heads.forEach((head, place) => head.setAttribute("aria-sort", place !== column ? "none" : up ? "ascending" : "descending"));
    const key = (one) => abis[column] ? one.row.cells[column].dataset.r : one.row.cells[column].textContent;
    const keyed = rows.map((one) => [key(one), one]);
    keyed.sort((a, b) => (up ? 1 : -1) * collator.compare(a[0], b[0]) || a[1].place - b[1].place);
    body.append(...keyed.map((pair) => pair[1].row));
  }

  const begun = new URLSearchParams(location.hash.slice(1));
  for (const field of [name, verdict, abi, base]) {
    field.value = begun.get(field.id) ?? "";
    for (const event of ["input", "change"]) field.addEventListener(event, filter);
  }
  name.form.addEventListener("submit", (event) => event.preventDefault());
  heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => sort(column)));
  if (begun.size) filter();
})();
