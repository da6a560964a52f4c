const TOKEN =
  /(?<comment>#.*)|(?<string>"(?:[^"\\\n]|\\.)*")|(?<variable>\$\w+)|(?<keyword>\b(?:query|mutation|subscription|fragment|on|true|false|null)\b)|(?<type>\b[A-Z]\w*)|(?<argument>\b\w+(?=:))|(?<number>\b\d+\b)/g;

/** GraphQL source as HTML: one `<span class="…">` per token that has a colour. */
export function highlight(source: string): string {
  let html = '';
  let end = 0;
  for (const match of source.matchAll(TOKEN)) {
    const [kind] = Object.entries(match.groups ?? {}).find(([, text]) => text !== undefined) ?? ['text'];
    html += escape(source.slice(end, match.index)) + `<span class="${kind}">${escape(match[0])}</span>`;
    end = match.index + match[0].length;
  }
  return html + escape(source.slice(end));
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
