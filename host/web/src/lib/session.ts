// What is said when the daemon wants its token again. The page stays as it is: somebody may be typing in it.

const SAID = "session-over";

/** Says that the session is over, once. */
export function sessionOver(): void {
  if (document.getElementById(SAID) !== null) return;
  const said = document.createElement("p");
  said.id = SAID;
  said.className = "offline";
  said.setAttribute("role", "alert");
  const link = document.createElement("a");
  link.href = "";
  link.textContent = "Load the page again";
  // A link to where one is would but move to its fragment.
  link.addEventListener("click", (event) => {
    event.preventDefault();
    location.reload();
  });
  said.append("The session is over: the daemon asks for its token. ", link, " to give it; what is not saved here is lost then.");
  document.getElementById("main")?.before(said);
}
