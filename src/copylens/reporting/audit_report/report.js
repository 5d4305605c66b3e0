"use strict";

// The table of samples: sorted, filtered and shown by pages. Texts only ever become text nodes, never HTML.
(() => {
  const data = JSON.parse(document.getElementById("samples-data").textContent);
  const table = document.getElementById("samples-table");
  const body = table.tBodies[0];
  const heads = [...table.querySelectorAll("th[data-column]")];
  const filter = document.getElementById("filter");
  const flaggedOnly = document.getElementById("flagged-only");
  const [previous, next, status] = ["previous", "next", "status"].map((id) => document.getElementById(id));
  const collator = new Intl.Collator("en", { numeric: true });
  const searched = data.rows.map((row) => row.join("\n").toLowerCase());
  const PAGE = 50, PRINTED = 100;
  let size = PAGE, page = 0, column = 0, direction = 1, order = [];

  const format = (value) => {
    if (value === null) return "not known";
    return typeof value === "number" ? String(value).replace("-", "−") : value;
  };

  const compare = (a, b) => {
    const [x, y] = [data.rows[a][column], data.rows[b][column]];
    if (x === null || y === null) return (x === null) - (y === null);
    return direction * (typeof x === "number" ? x - y : collator.compare(x, y));
  };

  const choose = () => {
    const wanted = filter.value.trim().toLowerCase();
    order = [];
    data.rows.forEach((row, index) => {
      if ((!flaggedOnly.checked || row[1] !== "no") && searched[index].includes(wanted)) order.push(index);
    });
    order.sort(compare);
    page = 0;
    show();
  };

  const show = () => {
    const start = page * size;
    const rows = order.slice(start, start + size).map((index) => {
      const line = document.createElement("tr");
      if (data.rows[index][1] !== "no") line.className = "flagged";
      data.rows[index].forEach((value, at) => {
        const cell = document.createElement(at ? "td" : "th");
        if (!at) cell.scope = "row";
        if (data.columns[at].number) cell.className = "number";
        if (value === "yes" || (at === 1 && value !== "no")) cell.className = "yes";
        cell.textContent = format(value);
        line.append(cell);
      });
      return line;
    });
    body.replaceChildren(...rows);
    const [from, to] = [order.length ? start + 1 : 0, Math.min(start + size, order.length)];
    const count = (n) => n.toLocaleString("en");
    status.textContent = `Rows ${count(from)} to ${count(to)} of ${count(order.length)}, of ${count(data.rows.length)} samples`;
    previous.disabled = page === 0;
    next.disabled = to >= order.length;
    heads.forEach((head, at) => {
      head.setAttribute("aria-sort", at !== column ? "none" : direction > 0 ? "ascending" : "descending");
    });
  };

  heads.forEach((head, at) => {
    head.firstElementChild.addEventListener("click", () => {
      // Similarities begin with the largest.
      direction = at === column ? -direction : data.columns[at].number && at ? -1 : 1;
      column = at;
      choose();
    });
  });
  filter.addEventListener("input", choose);
  flaggedOnly.addEventListener("change", choose);
  previous.addEventListener("click", () => { page -= 1; show(); });
  next.addEventListener("click", () => { page += 1; show(); });

  const closed = [...document.querySelectorAll("details:not([open])")];
  const print = (printing) => {
    size = printing ? PRINTED : PAGE;
    page = 0;
    closed.forEach((details) => { details.open = printing; });
    show();
  };
  window.addEventListener("beforeprint", () => print(true));
  window.addEventListener("afterprint", () => print(false));
  choose();
})();
