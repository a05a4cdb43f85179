// Makes the accessible components work: error summary takes the focus, buttons refuse the double click.
import { Button, ErrorSummary, NotificationBanner, SkipLink, createAll } from "../vendor/nhsuk-frontend/nhsuk-frontend.min.js";

document.body.classList.add("js-enabled", "nhsuk-frontend-supported");
for (const component of [Button, ErrorSummary, NotificationBanner, SkipLink]) createAll(component);
