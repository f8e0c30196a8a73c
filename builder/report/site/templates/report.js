"use strict";
// Filter and sort the table of packages. Without it the page still shows everything.
(() => {
  const table = document.getElementById("packages");
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const abiOfColumn = heads.map((head) => head.dataset.abi);
  const rows = [...body.rows].map((row, position) => {
    const name = row.cells[0].textContent.toLowerCase();
    return { row, position, name };
  });

  const [name, verdict, abi, base] = ["name", "verdict", "abi", "base"].map((id) => document.getElementById(id));
  const fields = [name, verdict, abi, base];
  const shownCount = document.getElementById("shown");
  const collator = new Intl.Collator("en", { numeric: true });

  // One cell has to fit all of verdict, ABI and base: "racy on cp314t" is not "racy, and something on cp314t".
  function cellFits(cell, column) {
    const isVerdict = abiOfColumn[column] && cell.dataset.v;
    if (!isVerdict) return false;
    if (abi.value && abiOfColumn[column] !== abi.value) return false;
    if (verdict.value && cell.dataset.v !== verdict.value) return false;

    const failingBases = (cell.dataset.n ?? "").split(" ");
    return !base.value || failingBases.includes(base.value);
  }

  function rowFits(row) {
    const isFiltered = verdict.value || abi.value || base.value;
    return !isFiltered || [...row.cells].some(cellFits);
  }

  function filter() {
    const part = name.value.trim().toLowerCase();
    let count = 0;
    for (const entry of rows) {
      const isShown = entry.name.includes(part) && rowFits(entry.row);
      entry.row.hidden = !isShown;
      if (isShown) count += 1;
    }
    shownCount.value = `${count} shown`;

    // The address keeps the filters, so that a link to the page shows the same rows.
    const state = new URLSearchParams();
    for (const field of fields) {
      if (field.value) state.append(field.id, field.value);
    }
    history.replaceState(null, "", state.size ? `#${state}` : location.pathname + location.search);
  }

  function sort(column) {
    const isAscending = heads[column].getAttribute("aria-sort") !== "ascending";
    for (const head of heads) head.setAttribute("aria-sort", "none");
    heads[column].setAttribute("aria-sort", isAscending ? "ascending" : "descending");

    // Verdicts are sorted by how bad they are, names and versions as text with numbers in it.
    const sortKey = (row) => {
      const cell = row.cells[column];
      return abiOfColumn[column] ? cell.dataset.r : cell.textContent;
    };
    const keyed = rows.map((entry) => ({ entry, key: sortKey(entry.row) }));
    const sign = isAscending ? 1 : -1;
    keyed.sort((a, b) => sign * collator.compare(a.key, b.key) || a.entry.position - b.entry.position);
    body.append(...keyed.map(({ entry }) => entry.row));
  }

  const initial = new URLSearchParams(location.hash.slice(1));
  for (const field of fields) {
    field.value = initial.get(field.id) ?? "";
    for (const event of ["input", "change"]) field.addEventListener(event, filter);
  }
  name.form.addEventListener("submit", (event) => event.preventDefault());
  heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => sort(column)));
  if (initial.size) filter();
})();
