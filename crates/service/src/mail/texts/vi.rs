//! Vietnamese.

use super::{Text, Texts};

pub(super) const TEXTS: Texts = Texts {
    verification: Text {
        subject: "Xác nhận địa chỉ e-mail của bạn",
        before: &["Có người đã tạo tài khoản tại {{ host }} bằng địa chỉ e-mail này. Nếu đó là bạn, hãy xác nhận:"],
        action: "Xác nhận địa chỉ",
        after: &[
            "Liên kết có hiệu lực trong 24 giờ và chỉ dùng được một lần. Sau đó bạn cần đăng nhập lại.",
            "Nếu không phải bạn, không cần làm gì: không ai biết bạn đã nhận thư này.",
        ],
    },
    password_reset: Text {
        subject: "Chọn mật khẩu mới",
        before: &[
            "Có người yêu cầu mật khẩu mới cho tài khoản của bạn tại {{ host }}. Nếu đó là bạn, hãy chọn mật khẩu:",
        ],
        action: "Chọn mật khẩu mới",
        after: &[
            "Liên kết có hiệu lực trong một giờ và chỉ dùng được một lần. Mọi thiết bị của bạn sẽ bị đăng xuất.",
            "Nếu không phải bạn, không cần làm gì: mật khẩu của bạn vẫn như cũ.",
        ],
    },
    invitation: Text {
        subject: "{{ inviter }} mời bạn vào {{ workspace }}",
        before: &["{{ inviter }} mời bạn vào không gian làm việc \"{{ workspace }}\" tại {{ host }}."],
        action: "Xem lời mời",
        after: &[
            "Lời mời có hiệu lực đến {{ time }} và chỉ dành cho địa chỉ e-mail này.",
            "Nếu bạn không biết người này, không cần làm gì.",
        ],
    },
    claim: Text {
        subject: "Đây có phải tài khoản của bạn không?",
        before: &[
            "Có người đã đăng nhập tại {{ host }} qua {{ provider }} bằng địa chỉ e-mail này. Đã có một tài khoản với địa chỉ này, nhưng chưa ai từng xác nhận nó.",
            "Nếu chính bạn đã đăng nhập, hãy nhận lại tài khoản:",
        ],
        action: "Đây là tài khoản của tôi",
        after: &[
            "Liên kết có hiệu lực trong một giờ và chỉ dùng được một lần. Mật khẩu hiện tại của tài khoản sẽ bị xóa và mọi người đang đăng nhập sẽ bị đăng xuất.",
            "Nếu không phải bạn, không cần làm gì.",
        ],
    },
    new_device: Text {
        subject: "Có lần đăng nhập mới vào tài khoản của bạn",
        before: &[
            "Có người đã đăng nhập vào tài khoản của bạn tại {{ host }} từ một thiết bị hoặc nơi mà chúng tôi chưa từng thấy.",
            "Thời gian: {{ time }}{% if address %}. Địa chỉ: {{ address }}{% endif %}{% if place %}. Địa điểm: {{ place }}{% endif %}{% if user_agent %}. Thiết bị: {{ user_agent }}{% endif %}",
        ],
        action: "",
        after: &[
            "Nếu đó là bạn, không cần làm gì.",
            "Nếu không, hãy đổi mật khẩu và đăng xuất mọi thiết bị khác, trong phần cài đặt, mục Thiết bị.",
        ],
    },
    password_changed: Text {
        subject: "Mật khẩu của bạn đã được đổi",
        before: &["Mật khẩu tài khoản của bạn tại {{ host }} đã được đổi lúc {{ time }}."],
        action: "",
        after: &["Nếu đó là bạn, không cần làm gì.", "Nếu không, hãy yêu cầu mật khẩu mới ngay ở trang đăng nhập."],
    },
    sign_up_attempt: Text {
        subject: "Bạn đã có tài khoản",
        before: &[
            "Có người muốn tạo tài khoản tại {{ host }} bằng địa chỉ e-mail này, nhưng bạn đã có một tài khoản.",
            "Nếu đó là bạn, hãy đăng nhập; ở trang đăng nhập bạn có thể yêu cầu mật khẩu mới.",
        ],
        action: "",
        after: &["Nếu không phải bạn, không cần làm gì: tài khoản của bạn vẫn như cũ."],
    },
    footer: "Thư này do Natter tại {{ host }} gửi. Không ai đọc thư trả lời.",
};
