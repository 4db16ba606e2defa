/** The module, compressed by gzip, in base64. The build writes it. */
export const bytes: string;
