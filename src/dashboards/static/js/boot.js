// Makes the accessible components work: the error summary takes the focus, the skip link leads on.
import { ErrorSummary, NotificationBanner, SkipLink, createAll } from "../vendor/nhsuk-frontend/nhsuk-frontend.min.js";

document.body.classList.add("js-enabled", "nhsuk-frontend-supported");
for (const component of [ErrorSummary, NotificationBanner, SkipLink]) createAll(component);
