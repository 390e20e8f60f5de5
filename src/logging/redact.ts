/** Names of fields whose value must not be in a log, folded: lower case, letters and digits only. */
const SECRET_NAMES =
  /password|passwd|secret|token|authorization|cookie|credential|apikey|accesskey|privatekey|sessionkey|kernelargs|extraargs|cmdline|commandline|machineconfig|userdata|metavalue/;

/** User information of a URL, credentials of an HTTP header, secret parameters of a query (RFC 3986, 7235). */
const SECRET_TEXTS: readonly (readonly [RegExp, string])[] = [
  [/(\b[a-z][a-z0-9+.-]*:\/\/)[^\s/?#@]+@/gi, '$1***@'],
  // Words after "basic" in a sentence are not credentials: those have digits, capitals or padding inside.
  [/\b([Bb]earer|[Bb]asic|BEARER|BASIC)\s+(?=\S+[0-9A-Z=])[A-Za-z0-9._~+/=-]{6,}/g, '$1 ***'],
  [/([?&](?:[a-z0-9_-]*(?:token|signature|credential|password|secret)|sig|code|key)=)[^&\s"'#]+/gi, '$1***'],
];

const DEEPEST = 6;
const LONGEST = 16 * 1024;

/** A text without credentials, of a bounded length. */
export function redactText(text: string): string {
  let result = text.length > LONGEST ? `${text.slice(0, LONGEST)}...` : text;
  for (const [pattern, replacement] of SECRET_TEXTS) result = result.replace(pattern, replacement);
  return result;
}

/** The value of a field as it may be logged: what JSON can hold, without secrets. */
export function redactField(name: string, value: unknown, depth = 0): unknown {
  if (value === undefined || value === null) return value;
  if (SECRET_NAMES.test(name.toLowerCase().replaceAll(/[^a-z0-9]/g, ''))) return '***';
  switch (typeof value) {
    case 'string':
      return redactText(value);
    case 'bigint':
      return value.toString();
    case 'number':
    case 'boolean':
      return value;
    case 'object':
      break;
    default:
      return `(${typeof value})`;
  }
  if (value instanceof Error) return redactText(value.message);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? '(invalid date)' : value.toISOString();
  if (value instanceof URL) return redactText(value.href);
  if (ArrayBuffer.isView(value)) return `(${value.byteLength} bytes)`;
  if (depth >= DEEPEST) return '(too deep)';
  if (Array.isArray(value)) return value.map((element) => redactField('', element, depth + 1));
  if (value instanceof Map) return redactField('', Object.fromEntries(value), depth);
  if (value instanceof Set) return redactField('', [...value], depth);
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [key, redactField(key, member, depth + 1)]),
  );
}
