// Every text on the page, shadow roots included, whose contrast is below 4.5:1 (3:1 where it is large).
() => {
  const rgba = (text) => {
    const c = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    c.fillStyle = "#000"; c.fillStyle = text; c.clearRect(0,0,1,1); c.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = c.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255];
  };
  const over = (top, under) => top.slice(0, 3).map((v, i) => v * top[3] + under[i] * (1 - top[3]));
  const luminance = (c) => { const [r, g, b] = c.map((v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const parent = (e) => e.assignedSlot ?? e.parentElement ?? (e.getRootNode().host ?? null);
  const found = [];
  const visit = (root) => {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
    for (let node = walker.currentNode; node; node = walker.nextNode()) {
      if (node.nodeType === 1) { if (node.shadowRoot) visit(node.shadowRoot); continue; }
      const text = node.textContent.trim(); const e = node.parentElement;
      if (!text || !e || ["STYLE", "SCRIPT", "NOSCRIPT", "TITLE"].includes(e.tagName)) continue;
      const range = document.createRange(); range.selectNode(node); const box = range.getBoundingClientRect();
      const style = getComputedStyle(e);
      if (box.width < 2 || box.height < 2 || style.visibility !== "visible" || !e.checkVisibility?.({ opacityProperty: true })) continue;
      if (e.closest(":disabled, [aria-disabled=true], [data-testid=stSliderThumbValue]")) continue;
      const chain = []; for (let x = e; x; x = parent(x)) chain.push(x);
      let ground = rgba(getComputedStyle(document.querySelector("[data-testid=stApp]")).backgroundColor).slice(0, 3);
      let opacity = 1; let picture = false;
      for (const x of chain.reverse()) {
        const s = getComputedStyle(x);
        if (s.backgroundImage !== "none") picture = true;
        ground = over(rgba(s.backgroundColor), ground); opacity *= +s.opacity;
      }
      const colour = rgba(style.color); colour[3] *= opacity;
      const a = luminance(over(colour, ground)), b = luminance(ground);
      const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && +style.fontWeight >= 700);
      if (ratio < (large ? 3 : 4.5) && !picture) found.push(`${ratio.toFixed(2)} ${e.tagName} ${e.className?.toString().slice(0, 40)} “${text.slice(0, 40)}”`);
    }
  };
  visit(document.body);
  return [...new Set(found)];
}
