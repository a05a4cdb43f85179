// A name from the list goes into its field with one click.
for (const known of document.querySelectorAll("[data-fills]")) {
  known.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    document.getElementById(known.dataset.fills).value = button.value;
    for (const other of known.children) other.setAttribute("aria-pressed", String(other === button));
  });
}

// A form is sent once: sent again while the first answer is on its way, it would be refused as out of date although
// the first counted. Without this script it works all the same.
const GIVE_UP_MS = 30_000; // no answer for so long: let the person try again
const sent = new Set();

function allow(form) {
  sent.delete(form);
  for (const button of form.querySelectorAll("[type=submit]")) button.disabled = false;
  const sign = form.querySelector("[data-working-sign]");
  if (sign) sign.textContent = "";
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || (form.method !== "post" && !form.dataset.working)) return;
  if (sent.has(form)) {
    event.preventDefault();
    return;
  }
  sent.add(form);
  setTimeout(() => {
    // not before the browser has read the form: the name and value of the button pressed belong to it
    for (const button of form.querySelectorAll("[type=submit]")) button.disabled = true;
    const sign = form.querySelector("[data-working-sign]"); // where the answer takes seconds it says that it works
    if (sign) sign.textContent = form.dataset.working;
  });
  setTimeout(() => allow(form), GIVE_UP_MS);
});
window.addEventListener("pageshow", () => {
  for (const form of document.forms) allow(form); // the browser may bring the page back as it was left
});
