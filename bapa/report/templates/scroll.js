// What goes on beyond the right edge fades there, and a line says so.
for (const box of document.querySelectorAll(".scroll, .strips .level, .strips .difference")) {
  const hint = document.createElement("p");
  hint.className = "hint";
  hint.textContent = "wider than the page: scroll sideways →";
  hint.setAttribute("aria-hidden", "true");
  if (!box.matches(".difference")) box.before(hint);  // once for a map and its differences
  const tell = () => box.classList.toggle("more", box.scrollLeft + box.clientWidth < box.scrollWidth - 2);
  box.addEventListener("scroll", tell, { passive: true });
  new ResizeObserver(tell).observe(box);
  tell();
}
