import type { Upload } from '#lib/api/files.ts';
import { m } from '#lib/paraglide/messages.js';

export interface Said {
  readonly content: string;
  readonly attachments: readonly Pick<Upload, 'name' | 'media_type' | 'kind' | 'peaks'>[];
  readonly hidden_at?: string | null;
}

/** Describes the attachments of a message in place of its text. */
export function attachmentSummary(attachments: Said['attachments']): string {
  const [first] = attachments;
  if (!first) return '';
  const count = attachments.length;
  if (attachments.every(({ media_type }) => media_type.startsWith('image/')))
    return count === 1 ? m.files_picture() : m.files_pictures({ count });
  if (count > 1) return m.files_many({ count });
  return first.kind === 'voice' || first.peaks?.length ? m.files_voice() : first.name;
}
