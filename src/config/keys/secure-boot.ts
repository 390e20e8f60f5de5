import { flag, section, text } from '../fields.ts';

export const secureBoot = section(
  'Signing of Secure Boot assets, with the first complete set of keys below.',
  {
    enabled: flag('seed', 'Offer Secure Boot assets. Nothing below is read when false.'),
    file: section('Keys in files.', {
      signingKeyPath: text('seed', '', 'PEM file of the private key that signs boot loaders and kernels.'),
      signingCertPath: text('seed', '', 'PEM file of its certificate.'),
      pcrKeyPath: text('seed', '', 'PEM file of the private key that signs PCR policies.'),
    }),
    azureKeyVault: section('Keys in an Azure Key Vault.', {
      url: text('seed', '', 'URL of the vault.'),
      certificateName: text('seed', '', 'Name of the certificate that signs boot loaders and kernels.'),
      keyName: text('seed', '', 'Name of the key that signs PCR policies.'),
    }),
    awsKMS: section('Keys in AWS KMS.', {
      keyID: text('seed', '', 'Key that signs boot loaders and kernels.'),
      pcrKeyID: text('seed', '', 'Key that signs PCR policies.'),
      certPath: text('seed', '', 'PEM file of the certificate of `keyID`.'),
      certARN: text('seed', '', 'ARN of that certificate in ACM, in place of `certPath`.'),
      region: text('seed', '', 'AWS region of the keys.'),
    }),
  },
);
