// A name from the list goes into its field with one click.
for (const known of document.querySelectorAll("[data-fills]")) {
  known.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    document.getElementById(known.dataset.fills).value = button.value;
    for (const other of known.children) other.setAttribute("aria-pressed", String(other === button));
  });
}
