// Runs before the first paint, so that the page never flashes in the other theme.
(function () {
  var choice = null;
  try {
    choice = localStorage.getItem("hypercode-theme");
  } catch {
    choice = null;
  }
  var dark = choice === "dark" || (choice !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.classList.toggle("dark", dark);
})();
