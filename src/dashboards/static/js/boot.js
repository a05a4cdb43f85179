// Makes the accessible components work: the error summary takes the focus, the skip link leads on.
import { ErrorSummary, NotificationBanner, SkipLink, createAll } from "../vendor/nhsuk-frontend/nhsuk-frontend.min.js";

document.body.classList.add("js-enabled", "nhsuk-frontend-supported");
for (const component of [ErrorSummary, NotificationBanner, SkipLink]) createAll(component);

// On a narrow screen the pages stand behind a button; without this script they are all shown.
const menu = document.querySelector(".places__menu");
if (menu) {
  menu.hidden = false;
  const open = (is) => menu.setAttribute("aria-expanded", String(is));
  menu.addEventListener("click", () => open(menu.getAttribute("aria-expanded") !== "true"));
  menu.parentElement.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    open(false);
    menu.focus();
  });
}
