import { nameIn } from '#lib/util/enum-lookup.ts';
import { m } from '#lib/paraglide/messages.js';

const NAMES: Readonly<Record<string, () => string>> = {
  answer: m.job_kind_answer,
  title: m.job_kind_title,
  preview: m.job_kind_preview,
  transcribe: m.job_kind_transcribe,
  mail: m.job_kind_mail,
  missed_mail: m.job_kind_missed_mail,
  push: m.job_kind_push,
  reminder: m.job_kind_reminder,
  scheduled_message: m.job_kind_scheduled_message,
  task_due: m.job_kind_task_due,
  broadcast: m.job_kind_broadcast,
  export: m.job_kind_export,
  departure: m.job_kind_departure,
  forget: m.job_kind_forget,
  file_text: m.job_kind_file_text,
  read_knowledge: m.job_kind_read_knowledge,
  sweep_uploads: m.job_kind_sweep_uploads,
  sweep_knowledge: m.job_kind_sweep_knowledge,
  sweep_gateway: m.job_kind_sweep_gateway,
  finish_payment_setup: m.job_kind_finish_payment_setup,
  keep_payment_method: m.job_kind_keep_payment_method,
  gateway_batch: m.job_kind_gateway_batch,
  gateway_response: m.job_kind_gateway_response
};

/** Name of a kind of job. A kind that only a newer server knows is shown as it is. */
export const jobName = (kind: string): string => nameIn(NAMES, kind);
