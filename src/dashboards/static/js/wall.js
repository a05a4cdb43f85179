// A link that ends in #token opens the wall by itself: what stands behind the # is never sent in an address.
const token = location.hash.slice(1);
if (token) {
  history.replaceState(null, "", location.pathname);
  document.getElementById("token").value = token;
  document.getElementById("open-wall").requestSubmit();
}
