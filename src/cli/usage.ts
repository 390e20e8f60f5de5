/** The text of the two options that every factory has, byte for byte (`spec/configuration.md` §1). */
const REFERENCE_USAGE = `Usage of image-factory:
      --config configs    Configuration source(s). Can be specified multiple times or as a comma-separated list.
                          Supported forms:
                            env=[PREFIX]        Load configuration from environment variables (optional prefix).
                            FILE                Load configuration from a file; format is inferred from extension.
                            file=FILE           Explicit file source (same as FILE).
${' '.repeat(26)}
                          Supported file extensions:
                            .json               JSON
                            .yaml, .yml         YAML
                            .env                dotenv
${' '.repeat(26)}
                          Sources are applied in the order provided; later values override earlier ones.
                          A default is always applied, regardless of whether --config is specified. (default env=IF_)
      --log-level level   Log level [debug info warn error dpanic panic fatal] (default info)
`;

const OWN_USAGE = `
More options:
      --data-dir DIR      Directory that keeps everything that needs no registry: the repositories that the
                          configuration leaves at their defaults, the local store and generated keys.
      --version           Print name, version and commit, and exit.
  -h, --help              Print this text, and exit.

Commands:
  serve                   Run the factory. The default.
  config print            Print the configuration that the sources give.
      --defaults          Print the defaults instead.
      --format format     Format [yaml env json] (default yaml)
  config check            Check that configuration, and exit with 0 when it is valid.
`;

export const USAGE: string = REFERENCE_USAGE + OWN_USAGE;
