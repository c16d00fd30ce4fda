//! French texts.

use super::{Text, Texts};

pub(super) const TEXTS: Texts = Texts {
    verification: Text {
        subject: "Vérifiez votre adresse e-mail",
        before: &[
            "Un compte a été créé sur {{ host }} avec cette adresse e-mail. Si c'était vous, vérifiez l'adresse :",
        ],
        action: "Vérifier l'adresse e-mail",
        after: &[
            "Ce lien fonctionne une seule fois et expire dans 24 heures. Sur un appareil où vous n'êtes pas connecté, votre mot de passe vous sera demandé.",
            "Si ce n'était pas vous, ignorez cet e-mail. Personne ne saura que vous l'avez reçu.",
        ],
    },
    password_reset: Text {
        subject: "Réinitialisez votre mot de passe",
        before: &[
            "Nous avons reçu une demande de réinitialisation du mot de passe de votre compte sur {{ host }}. Si c'était vous, choisissez-en un nouveau :",
        ],
        action: "Réinitialiser le mot de passe",
        after: &[
            "Ce lien fonctionne une seule fois et expire dans une heure. Un nouveau mot de passe vous déconnecte de tous vos appareils.",
            "Si ce n'était pas vous, ignorez cet e-mail. Votre mot de passe ne changera pas.",
        ],
    },
    welcome: Text {
        subject: "Vous avez un compte sur {{ host }}",
        before: &[
            "Un admin de {{ host }} a créé un compte pour vous avec cette adresse e-mail. Choisissez un mot de passe :",
        ],
        action: "Choisir un mot de passe",
        after: &[
            "Ce lien fonctionne une seule fois et expire dans 7 jours. Ensuite, utilisez « Mot de passe oublié ? » sur la page de connexion.",
            "Si vous ne vous y attendiez pas, ignorez cet e-mail.",
        ],
    },
    test: Text {
        subject: "Les e-mails de {{ host }} arrivent bien",
        before: &[
            "Vous avez demandé un message de test à {{ host }}. Il est bien arrivé, les autres recevront donc aussi les leurs.",
        ],
        action: "",
        after: &[],
    },
    invitation: Text {
        subject: "Vous êtes invité dans un espace de travail",
        before: &[
            "Vous avez été invité dans un espace de travail sur {{ host }}.",
            "{% if workspace %}Espace de travail : « {{ workspace }} ». {% endif %}{% if inviter %}Invitation de : « {{ inviter }} ».{% endif %}",
        ],
        action: "Voir l'invitation",
        after: &[
            "L'invitation est réservée à cette adresse e-mail et expire le {{ time }}.",
            "Si vous ne connaissez pas cette personne, ignorez cet e-mail.",
        ],
    },
    claim: Text {
        subject: "Est-ce votre compte ?",
        before: &[
            "Quelqu'un s'est connecté à {{ host }} par {{ provider }} avec cette adresse e-mail. Un compte existe déjà avec cette adresse, mais elle n'a jamais été vérifiée.",
            "Si c'était vous, récupérez le compte :",
        ],
        action: "Récupérer le compte",
        after: &[
            "Ce lien fonctionne une seule fois et expire dans une heure. Récupérer le compte supprime son mot de passe actuel et déconnecte tous ses appareils.",
            "Si ce n'était pas vous, ignorez cet e-mail.",
        ],
    },
    new_device: Text {
        subject: "Nouvelle connexion à votre compte",
        before: &[
            "Quelqu'un s'est connecté à votre compte sur {{ host }} depuis un nouvel appareil ou un nouveau lieu.",
            "Heure : {{ time }}{% if address %}. Adresse IP : {{ address }}{% endif %}{% if place %}. Lieu : {{ place }}{% endif %}{% if user_agent %}. Appareil : {{ user_agent }}{% endif %}",
        ],
        action: "",
        after: &[
            "Si c'était vous, vous n'avez rien à faire.",
            "Si ce n'était pas vous, changez votre mot de passe dans les paramètres, puis déconnectez tous les autres appareils sous « Appareils ».",
        ],
    },
    password_changed: Text {
        subject: "Votre mot de passe a été modifié",
        before: &["Le mot de passe de votre compte sur {{ host }} a été modifié le {{ time }}."],
        action: "",
        after: &[
            "Si c'était vous, vous n'avez rien à faire.",
            "Si ce n'était pas vous, réinitialisez tout de suite votre mot de passe sur la page de connexion.",
        ],
    },
    email_change_new: Text {
        subject: "Confirmez votre nouvelle adresse e-mail",
        before: &["Vous avez demandé à utiliser cette adresse e-mail pour votre compte sur {{ host }}. Confirmez-la :"],
        action: "Confirmer l'adresse e-mail",
        after: &[
            "Ce lien fonctionne une seule fois et expire dans 24 heures. Si votre adresse actuelle est vérifiée, elle doit aussi confirmer le changement.",
            "Si ce n'était pas vous, ignorez cet e-mail.",
        ],
    },
    email_change_current: Text {
        subject: "Confirmez le changement de votre adresse e-mail",
        before: &[
            "Vous avez demandé à remplacer l'adresse e-mail de votre compte sur {{ host }} par {{ new_address }}. Si c'était vous, confirmez-le aussi ici :",
        ],
        action: "Confirmer le changement",
        after: &[
            "Ce lien fonctionne une seule fois et expire dans 24 heures.",
            "Si ce n'était pas vous, n'ouvrez pas le lien. Changez tout de suite votre mot de passe dans les paramètres : cela annule le changement.",
        ],
    },
    email_changed: Text {
        subject: "Votre adresse e-mail a été modifiée",
        before: &[
            "L'adresse e-mail de votre compte sur {{ host }} a été remplacée par {{ new_address }} le {{ time }}. Les e-mails y sont désormais envoyés, et vous vous connectez avec elle.",
        ],
        action: "",
        after: &[
            "Si c'était vous, vous n'avez rien à faire.",
            "Si ce n'était pas vous, prévenez tout de suite un admin de {{ host }}.",
        ],
    },
    suspended: Text {
        subject: "Votre compte est suspendu",
        before: &[
            "Un admin de {{ host }} a suspendu votre compte le {{ time }}. Vous ne pouvez plus vous connecter, et les programmes qui utilisent vos clés API sont refusés.",
        ],
        action: "",
        after: &["Rien n'a été supprimé. Si vous pensez que c'est une erreur, adressez-vous à un admin de {{ host }}."],
    },
    restored: Text {
        subject: "Votre compte fonctionne à nouveau",
        before: &[
            "Un admin de {{ host }} a rétabli votre compte. Tout est resté comme vous l'avez laissé, et vos clés API fonctionnent à nouveau.",
        ],
        action: "",
        after: &["Connectez-vous comme avant."],
    },
    second_factor_removed: Text {
        subject: "La vérification en deux étapes a été désactivée",
        before: &[
            "Un admin de {{ host }} a désactivé la vérification en deux étapes de votre compte le {{ time }}. Vos codes de récupération ne fonctionnent plus.",
        ],
        action: "",
        after: &[
            "Si vous l'avez demandé, connectez-vous et configurez-la à nouveau dans les paramètres.",
            "Sinon, changez tout de suite votre mot de passe et prévenez un admin de {{ host }}.",
        ],
    },
    sign_up_attempt: Text {
        subject: "Vous avez déjà un compte",
        before: &[
            "Quelqu'un a essayé de créer un compte sur {{ host }} avec cette adresse e-mail, mais vous en avez déjà un.",
            "Si c'était vous, connectez-vous. Mot de passe oublié ? Réinitialisez-le sur la page de connexion.",
        ],
        action: "",
        after: &["Si ce n'était pas vous, ignorez cet e-mail. Votre compte n'a pas changé."],
    },
    paid: Text {
        subject: "Reçu {{ number }}",
        before: &[
            "Merci. Nous avons reçu {{ amount }} pour{% if plan %} {{ plan }}{% else %} votre forfait{% endif %} sur {{ host }}. Le numéro de votre reçu est {{ number }}.",
        ],
        action: "Voir le paiement et le reçu",
        after: &[],
    },
    refunded: Text {
        subject: "Remboursement de {{ amount }}",
        before: &[
            "Nous avons remboursé {{ amount }}, que vous aviez payés sur {{ host }}, sur votre moyen de paiement. Le numéro de votre avoir est {{ number }}.",
        ],
        action: "Voir le paiement",
        after: &["Votre banque peut mettre quelques jours à l'afficher."],
    },
    charge_failed: Text {
        subject: "Votre paiement a été refusé",
        before: &[
            "Nous n'avons pas pu prélever {{ amount }} pour{% if plan %} {{ plan }}{% else %} votre forfait{% endif %} sur {{ host }}.",
            "{% if again %}Nous réessaierons le {{ again }}. {% endif %}Votre forfait fonctionne jusqu'au {{ time }}.",
        ],
        action: "Payer maintenant",
        after: &["Si vous ne voulez pas garder le forfait, vous n'avez rien à faire."],
    },
    plan_unpaid: Text {
        subject: "Votre forfait attend son paiement",
        before: &[
            "La période de facturation de{% if plan %} {{ plan }}{% else %} votre forfait{% endif %} sur {{ host }} est terminée. Le forfait fonctionne encore jusqu'au {{ time }}.",
        ],
        action: "Payer maintenant",
        after: &["Si vous ne voulez pas garder le forfait, vous n'avez rien à faire."],
    },
    plan_ended: Text {
        subject: "Votre forfait a pris fin",
        before: &[
            "{% if plan %}{{ plan }}{% else %}Votre forfait{% endif %} a pris fin sur {{ host }}. Vous gardez votre compte, vos conversations et les crédits que vous avez achetés.",
        ],
        action: "Choisir un forfait",
        after: &[],
    },
    plan_expiring: Text {
        subject: "Votre forfait se termine bientôt",
        before: &[
            "{% if plan %}{{ plan }}{% else %}Votre forfait{% endif %} se termine sur {{ host }} le {{ time }}. Pour le garder, payez la période suivante{% if amount %} : {{ amount }}{% endif %}.",
        ],
        action: "Payer maintenant",
        after: &["Rien n'est prélevé automatiquement."],
    },
    plan_renewing: Text {
        subject: "Votre forfait se renouvelle bientôt",
        before: &[
            "{% if plan %}{{ plan }}{% else %}Votre forfait{% endif %} se renouvelle sur {{ host }} le {{ time }}. {% if amount %}{{ amount }} seront prélevés sur votre moyen de paiement enregistré.{% endif %}",
        ],
        action: "Gérer votre forfait",
        after: &[
            "Si vous ne le voulez pas, résiliez-le avant cette date. Vous le gardez jusqu'à la fin de la période.",
        ],
    },
    trial_ending: Text {
        subject: "Votre essai se termine bientôt",
        before: &[
            "Votre essai de{% if plan %} {{ plan }}{% else %} votre forfait{% endif %} sur {{ host }} se termine le {{ time }}. Rien n'est prélevé.",
        ],
        action: "Garder le forfait",
        after: &[],
    },
    credits_low: Text {
        subject: "Vos crédits sont bientôt épuisés",
        before: &[
            "{% if workspace %}Crédits restants de l'espace de travail {{ workspace }} sur {{ host }} : {{ credits }}. Une fois épuisés, ses membres paient avec les leurs.{% else %}Crédits qui vous restent sur {{ host }} : {{ credits }}.{% endif %}",
        ],
        action: "Acheter des crédits",
        after: &["Sur la même page, vous pouvez choisir quand recevoir cet e-mail et activer la recharge automatique."],
    },
    top_up_stopped: Text {
        subject: "Les crédits ne sont plus achetés automatiquement",
        before: &[
            "{% if why == 'declined' %}Votre paiement a été refusé, la recharge automatique sur {{ host }} est donc désactivée. Rien d'autre ne sera prélevé.{% elif why == 'method_removed' %}La recharge automatique sur {{ host }} est désactivée, car son moyen de paiement a été supprimé.{% elif why == 'plan_withdrawn' %}La recharge automatique sur {{ host }} est désactivée, car ses crédits ne sont plus vendus à ce prix.{% else %}La recharge automatique sur {{ host }} a atteint votre limite pour ce mois. Elle reprendra le mois prochain.{% endif %}",
        ],
        action: "Voir les crédits",
        after: &[],
    },
    missed: Text {
        subject: "{{ count }} non lus sur {{ host }}",
        before: &["Vous avez manqué :", "{{ lines }}"],
        action: "Ouvrir l'activité",
        after: &[
            "Pour répondre, ouvrez Natter. Les réponses à cet e-mail ne parviennent à personne.",
            "Vous recevez un seul e-mail pour tout ce que vous manquez. Changez cela dans les paramètres, sous « Notifications ».",
        ],
    },
    announcement: Text {
        subject: "Une annonce sur {{ host }}",
        before: &["{{ title }}", "{{ body }}"],
        action: "Ouvrir Natter",
        after: &[],
    },
    footer: "Envoyé par Natter sur {{ host }}. Les réponses à cet e-mail ne sont pas lues.",
};
