// Tooltips for mouse and keyboard; arrow keys walk through a map. Without script the SVG titles say the same.
const tip = document.getElementById("tip");
const show = (cell) => {
  const box = cell.getBoundingClientRect();
  tip.textContent = cell.getAttribute("aria-label");
  tip.hidden = false;
  const left = Math.min(Math.max(8, box.left + box.width / 2 - tip.offsetWidth / 2), innerWidth - tip.offsetWidth - 8);
  const above = box.top - tip.offsetHeight - 8;
  tip.style.left = `${left}px`;
  tip.style.top = `${above > 8 ? above : box.bottom + 8}px`;
};
const hide = () => { tip.hidden = true; };
const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
for (const cell of document.querySelectorAll(".cell")) {
  cell.querySelector("title").remove();
  cell.addEventListener("mouseenter", () => show(cell));
  cell.addEventListener("mouseleave", hide);
  cell.addEventListener("focus", () => show(cell));
  cell.addEventListener("blur", hide);
  cell.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    const [row, col] = [+cell.dataset.row + step[0], +cell.dataset.col + step[1]];
    const next = cell.parentNode.querySelector(`.cell[data-row="${row}"][data-col="${col}"]`);
    if (!next) return;
    cell.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
}
addEventListener("scroll", hide, { passive: true });
