//! Spanish texts.

use super::{Text, Texts};

pub(super) const TEXTS: Texts = Texts {
    verification: Text {
        subject: "Verifica tu correo",
        before: &["Se creó una cuenta en {{ host }} con esta dirección de correo. Si fuiste tú, verifica tu correo:"],
        action: "Verificar correo",
        after: &[
            "Este enlace funciona una sola vez y caduca en 24 horas. En un dispositivo donde no hayas iniciado sesión, se te pedirá la contraseña.",
            "Si no fuiste tú, ignora este correo. Nadie sabrá que lo recibiste.",
        ],
    },
    password_reset: Text {
        subject: "Restablece tu contraseña",
        before: &[
            "Recibimos una solicitud para restablecer la contraseña de tu cuenta en {{ host }}. Si fuiste tú, elige una nueva:",
        ],
        action: "Restablecer contraseña",
        after: &[
            "Este enlace funciona una sola vez y caduca en una hora. La nueva contraseña cierra tu sesión en todos los dispositivos.",
            "Si no fuiste tú, ignora este correo. Tu contraseña no cambiará.",
        ],
    },
    welcome: Text {
        subject: "Tienes una cuenta en {{ host }}",
        before: &[
            "Un administrador de {{ host }} creó una cuenta para ti con esta dirección de correo. Elige una contraseña:",
        ],
        action: "Elegir una contraseña",
        after: &[
            "Este enlace funciona una sola vez y caduca en 7 días. Después, usa «¿Olvidaste la contraseña?» en la página de inicio de sesión.",
            "Si no lo esperabas, ignora este correo.",
        ],
    },
    test: Text {
        subject: "El correo de {{ host }} funciona",
        before: &[
            "Pediste a {{ host }} un mensaje de prueba. Ha llegado, así que los demás también recibirán los suyos.",
        ],
        action: "",
        after: &[],
    },
    invitation: Text {
        subject: "Tienes una invitación a un espacio de trabajo",
        before: &[
            "Tienes una invitación a un espacio de trabajo en {{ host }}.",
            "{% if workspace %}Espacio de trabajo: «{{ workspace }}». {% endif %}{% if inviter %}Te invita: «{{ inviter }}».{% endif %}",
        ],
        action: "Ver invitación",
        after: &[
            "La invitación es solo para esta dirección de correo y caduca el {{ time }}.",
            "Si no conoces a esta persona, ignora este correo.",
        ],
    },
    claim: Text {
        subject: "¿Es tu cuenta?",
        before: &[
            "Alguien inició sesión en {{ host }} con {{ provider }} y esta dirección de correo. Ya existe una cuenta con ella, pero la dirección nunca se verificó.",
            "Si fuiste tú, reclama la cuenta:",
        ],
        action: "Reclamar cuenta",
        after: &[
            "Este enlace funciona una sola vez y caduca en una hora. Al reclamar la cuenta se elimina su contraseña actual y se cierra la sesión en todos sus dispositivos.",
            "Si no fuiste tú, ignora este correo.",
        ],
    },
    new_device: Text {
        subject: "Nuevo inicio de sesión en tu cuenta",
        before: &[
            "Se inició sesión en tu cuenta de {{ host }} desde un dispositivo o lugar nuevo.",
            "Hora: {{ time }}{% if address %}. Dirección IP: {{ address }}{% endif %}{% if place %}. Lugar: {{ place }}{% endif %}{% if user_agent %}. Dispositivo: {{ user_agent }}{% endif %}",
        ],
        action: "",
        after: &[
            "Si fuiste tú, no tienes que hacer nada.",
            "Si no fuiste tú, cambia tu contraseña en los ajustes y cierra la sesión de todos los demás dispositivos en «Dispositivos».",
        ],
    },
    password_changed: Text {
        subject: "Se cambió tu contraseña",
        before: &["La contraseña de tu cuenta en {{ host }} se cambió el {{ time }}."],
        action: "",
        after: &[
            "Si fuiste tú, no tienes que hacer nada.",
            "Si no fuiste tú, restablece tu contraseña ahora mismo en la página de inicio de sesión.",
        ],
    },
    email_change_new: Text {
        subject: "Confirma tu nueva dirección de correo",
        before: &["Pediste usar esta dirección de correo para tu cuenta en {{ host }}. Confírmala:"],
        action: "Confirmar dirección de correo",
        after: &[
            "Este enlace funciona una sola vez y caduca en 24 horas. Si tu dirección actual está verificada, también tiene que confirmar el cambio.",
            "Si no fuiste tú, ignora este correo.",
        ],
    },
    email_change_current: Text {
        subject: "Confirma el cambio de tu dirección de correo",
        before: &[
            "Pediste cambiar la dirección de correo de tu cuenta en {{ host }} a {{ new_address }}. Si fuiste tú, confírmalo también aquí:",
        ],
        action: "Confirmar el cambio",
        after: &[
            "Este enlace funciona una sola vez y caduca en 24 horas.",
            "Si no fuiste tú, no abras el enlace. Cambia tu contraseña en los ajustes ahora mismo: eso cancela el cambio.",
        ],
    },
    email_changed: Text {
        subject: "Se cambió tu dirección de correo",
        before: &[
            "La dirección de correo de tu cuenta en {{ host }} se cambió a {{ new_address }} el {{ time }}. A partir de ahora los correos llegan allí, y con ella inicias sesión.",
        ],
        action: "",
        after: &[
            "Si fuiste tú, no tienes que hacer nada.",
            "Si no fuiste tú, avisa a un administrador de {{ host }} ahora mismo.",
        ],
    },
    suspended: Text {
        subject: "Tu cuenta está suspendida",
        before: &[
            "Un administrador de {{ host }} suspendió tu cuenta el {{ time }}. No puedes iniciar sesión, y los programas con tus claves de API se rechazan.",
        ],
        action: "",
        after: &["No se eliminó nada. Si crees que es un error, consulta a un administrador de {{ host }}."],
    },
    restored: Text {
        subject: "Tu cuenta vuelve a funcionar",
        before: &[
            "Un administrador de {{ host }} ha restaurado tu cuenta. Todo está como lo dejaste, y tus claves de API vuelven a funcionar.",
        ],
        action: "",
        after: &["Inicia sesión como antes."],
    },
    second_factor_removed: Text {
        subject: "Se quitó la verificación en dos pasos",
        before: &[
            "Un administrador de {{ host }} quitó la verificación en dos pasos de tu cuenta el {{ time }}. Tus códigos de recuperación ya no funcionan.",
        ],
        action: "",
        after: &[
            "Si lo pediste tú, inicia sesión y vuelve a configurarla en los ajustes.",
            "Si no, cambia tu contraseña ahora mismo y avisa a un administrador de {{ host }}.",
        ],
    },
    sign_up_attempt: Text {
        subject: "Ya tienes una cuenta",
        before: &[
            "Alguien intentó crear una cuenta en {{ host }} con esta dirección de correo, pero ya tienes una.",
            "Si fuiste tú, inicia sesión. ¿Olvidaste la contraseña? Restablécela en la página de inicio de sesión.",
        ],
        action: "",
        after: &["Si no fuiste tú, ignora este correo. Tu cuenta no ha cambiado."],
    },
    paid: Text {
        subject: "Recibo {{ number }}",
        before: &[
            "Gracias. Recibimos {{ amount }} por{% if plan %} {{ plan }}{% else %} tu plan{% endif %} en {{ host }}. El número de tu recibo es {{ number }}.",
        ],
        action: "Ver pago y recibo",
        after: &[],
    },
    refunded: Text {
        subject: "Reembolso de {{ amount }}",
        before: &[
            "Reembolsamos {{ amount }} de tu pago en {{ host }} a tu método de pago. El número de tu nota de crédito es {{ number }}.",
        ],
        action: "Ver pago",
        after: &["Tu banco puede tardar unos días en mostrarlo."],
    },
    charge_failed: Text {
        subject: "Tu pago fue rechazado",
        before: &[
            "No pudimos cobrar {{ amount }} por{% if plan %} {{ plan }}{% else %} tu plan{% endif %} en {{ host }}.",
            "{% if again %}Lo intentaremos de nuevo el {{ again }}. {% endif %}Tu plan funciona hasta el {{ time }}.",
        ],
        action: "Pagar ahora",
        after: &["Si no quieres conservar el plan, no tienes que hacer nada."],
    },
    plan_unpaid: Text {
        subject: "Tu plan está pendiente de pago",
        before: &[
            "El período de facturación de{% if plan %} {{ plan }}{% else %} tu plan{% endif %} en {{ host }} ha terminado. El plan todavía funciona hasta el {{ time }}.",
        ],
        action: "Pagar ahora",
        after: &["Si no quieres conservar el plan, no tienes que hacer nada."],
    },
    plan_ended: Text {
        subject: "Tu plan ha terminado",
        before: &[
            "{% if plan %}{{ plan }}{% else %}Tu plan{% endif %} en {{ host }} ha terminado. Conservas tu cuenta, tus chats y los créditos que compraste.",
        ],
        action: "Elegir un plan",
        after: &[],
    },
    plan_expiring: Text {
        subject: "Tu plan termina pronto",
        before: &[
            "{% if plan %}{{ plan }}{% else %}Tu plan{% endif %} en {{ host }} termina el {{ time }}. Para conservarlo, paga el siguiente período{% if amount %}: {{ amount }}{% endif %}.",
        ],
        action: "Pagar ahora",
        after: &["No se cobra nada automáticamente."],
    },
    plan_renewing: Text {
        subject: "Tu plan se renueva pronto",
        before: &[
            "{% if plan %}{{ plan }}{% else %}Tu plan{% endif %} en {{ host }} se renueva el {{ time }}. {% if amount %}Se cobrarán {{ amount }} a tu método de pago guardado.{% endif %}",
        ],
        action: "Gestionar tu plan",
        after: &["Si no lo quieres, cancélalo antes. Conservas el plan hasta el final del período."],
    },
    trial_ending: Text {
        subject: "Tu prueba termina pronto",
        before: &[
            "Tu prueba de{% if plan %} {{ plan }}{% else %} tu plan{% endif %} en {{ host }} termina el {{ time }}. No se cobra nada.",
        ],
        action: "Conservar el plan",
        after: &[],
    },
    credits_low: Text {
        subject: "Te quedan pocos créditos",
        before: &[
            "{% if workspace %}Créditos que quedan al espacio de trabajo {{ workspace }} en {{ host }}: {{ credits }}. Cuando se agoten, sus miembros pagarán con los suyos.{% else %}Créditos que te quedan en {{ host }}: {{ credits }}.{% endif %}",
        ],
        action: "Comprar créditos",
        after: &["En la misma página puedes elegir cuándo recibir este correo y activar la recarga automática."],
    },
    top_up_stopped: Text {
        subject: "Los créditos ya no se compran automáticamente",
        before: &[
            "{% if why == 'declined' %}Tu pago fue rechazado, así que la recarga automática en {{ host }} está desactivada. No se te volverá a cobrar.{% elif why == 'method_removed' %}La recarga automática en {{ host }} está desactivada porque se eliminó su método de pago.{% elif why == 'plan_withdrawn' %}La recarga automática en {{ host }} está desactivada porque sus créditos ya no se venden a este precio.{% else %}La recarga automática en {{ host }} ha alcanzado tu límite de este mes. Continuará el mes que viene.{% endif %}",
        ],
        action: "Ver créditos",
        after: &[],
    },
    missed: Text {
        subject: "{{ count }} sin leer en {{ host }}",
        before: &["Esto te has perdido:", "{{ lines }}"],
        action: "Abrir tu actividad",
        after: &[
            "Para responder, abre Natter. Las respuestas a este correo no llegan a nadie.",
            "Recibes un solo correo por todo lo que te pierdes. Cámbialo en los ajustes, en «Notificaciones».",
        ],
    },
    announcement: Text {
        subject: "Un anuncio en {{ host }}",
        before: &["{{ title }}", "{{ body }}"],
        action: "Abrir Natter",
        after: &[],
    },
    footer: "Enviado por Natter en {{ host }}. Las respuestas a este correo no se leen.",
};
