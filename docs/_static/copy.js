// A button beside each block of code that copies it, without prompts and without what was printed.
document.querySelectorAll("div.highlight > pre").forEach((block) => {
  const button = document.createElement("button");
  button.className = "copy";
  button.type = "button";
  button.textContent = "copy";
  button.addEventListener("click", async () => {
    const lines = block.innerText.split("\n");
    const typed = lines.filter((line) => /^(>>>|\.\.\.)( |$)/.test(line));
    const kept = typed.length ? typed.map((line) => line.slice(4)) : lines;
    await navigator.clipboard.writeText(kept.join("\n").trimEnd() + "\n");
    button.textContent = "copied";
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  });
  block.parentElement.appendChild(button);
});
