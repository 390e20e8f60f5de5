const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** A tagged template whose values are escaped: nothing from a request reaches a page as markup. */
export function html(strings: TemplateStringsArray, ...values: readonly (string | number)[]): string {
  return String.raw(
    { raw: strings },
    ...values.map((value) => String(value).replace(/[&<>"']/g, (char) => ENTITIES[char] ?? char)),
  );
}
