// Shows the rows of one status, and of these the ones that hold a word; without this script all are shown.
const buttons = document.querySelectorAll("[data-show]");
const find = document.getElementById("find");
let shown = "all";

function filter() {
  const word = find.value.trim().toLowerCase();
  for (const chapter of document.querySelectorAll("details.chapter")) {
    let any = false;
    for (const row of chapter.querySelectorAll("tbody > tr")) {
      const fits = (shown === "all" || row.dataset.status === shown) &&
        (!word || row.id.toLowerCase() === word || row.textContent.toLowerCase().includes(word));
      row.hidden = !fits;
      any ||= fits;
    }
    chapter.hidden = !any;
  }
}

for (const button of buttons) {
  button.addEventListener("click", () => {
    shown = button.dataset.show;
    for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
    filter();
  });
}
find?.addEventListener("input", filter);
