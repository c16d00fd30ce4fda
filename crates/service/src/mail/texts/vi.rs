//! Vietnamese.

use super::{Text, Texts};

pub(super) const TEXTS: Texts = Texts {
    verification: Text {
        subject: "Xác minh email của bạn",
        before: &["Một tài khoản trên {{ host }} đã được tạo bằng email này. Nếu đó là bạn, hãy xác minh email:"],
        action: "Xác minh email",
        after: &[
            "Liên kết này dùng được một lần và hết hạn sau 24 giờ. Trên thiết bị chưa đăng nhập, bạn sẽ cần nhập mật khẩu.",
            "Nếu không phải bạn, hãy bỏ qua email này. Không ai biết bạn đã nhận được nó.",
        ],
    },
    password_reset: Text {
        subject: "Đặt lại mật khẩu của bạn",
        before: &[
            "Chúng tôi nhận được yêu cầu đặt lại mật khẩu cho tài khoản của bạn trên {{ host }}. Nếu đó là bạn, hãy đặt mật khẩu mới:",
        ],
        action: "Đặt lại mật khẩu",
        after: &[
            "Liên kết này dùng được một lần và hết hạn sau một giờ. Mật khẩu mới sẽ đăng xuất bạn khỏi mọi thiết bị.",
            "Nếu không phải bạn, hãy bỏ qua email này. Mật khẩu của bạn không thay đổi.",
        ],
    },
    invitation: Text {
        subject: "Bạn được mời vào một không gian làm việc",
        before: &[
            "Bạn được mời vào một không gian làm việc trên {{ host }}.",
            "{% if workspace %}Không gian làm việc: “{{ workspace }}”. {% endif %}{% if inviter %}Người mời: “{{ inviter }}”.{% endif %}",
        ],
        action: "Xem lời mời",
        after: &[
            "Lời mời chỉ dành cho email này và hết hạn vào {{ time }}.",
            "Nếu bạn không biết người này, hãy bỏ qua email này.",
        ],
    },
    claim: Text {
        subject: "Đây có phải tài khoản của bạn không?",
        before: &[
            "Có người đã đăng nhập vào {{ host }} qua {{ provider }} bằng email này. Đã có một tài khoản dùng email này, nhưng email chưa được xác minh.",
            "Nếu đó là bạn, hãy nhận tài khoản:",
        ],
        action: "Nhận tài khoản",
        after: &[
            "Liên kết này dùng được một lần và hết hạn sau một giờ. Khi nhận, mật khẩu hiện tại của tài khoản bị xóa và mọi thiết bị của tài khoản bị đăng xuất.",
            "Nếu không phải bạn, hãy bỏ qua email này.",
        ],
    },
    new_device: Text {
        subject: "Lần đăng nhập mới vào tài khoản của bạn",
        before: &[
            "Tài khoản của bạn trên {{ host }} vừa được đăng nhập từ một thiết bị hoặc địa điểm mới.",
            "Thời gian: {{ time }}{% if address %}. Địa chỉ IP: {{ address }}{% endif %}{% if place %}. Địa điểm: {{ place }}{% endif %}{% if user_agent %}. Thiết bị: {{ user_agent }}{% endif %}",
        ],
        action: "",
        after: &[
            "Nếu đó là bạn, bạn không cần làm gì.",
            "Nếu không phải bạn, hãy đổi mật khẩu trong Cài đặt, rồi đăng xuất các thiết bị khác trong mục Thiết bị.",
        ],
    },
    password_changed: Text {
        subject: "Mật khẩu của bạn đã được đổi",
        before: &["Mật khẩu tài khoản của bạn trên {{ host }} đã được đổi vào {{ time }}."],
        action: "",
        after: &[
            "Nếu đó là bạn, bạn không cần làm gì.",
            "Nếu không phải bạn, hãy đặt lại mật khẩu ngay ở trang đăng nhập.",
        ],
    },
    sign_up_attempt: Text {
        subject: "Bạn đã có tài khoản",
        before: &[
            "Có người đã thử tạo tài khoản trên {{ host }} bằng email này, nhưng bạn đã có tài khoản.",
            "Nếu đó là bạn, hãy đăng nhập. Quên mật khẩu? Đặt lại mật khẩu ở trang đăng nhập.",
        ],
        action: "",
        after: &["Nếu không phải bạn, hãy bỏ qua email này. Tài khoản của bạn không thay đổi."],
    },
    footer: "Email do Natter trên {{ host }} gửi. Email trả lời sẽ không được đọc.",
};
