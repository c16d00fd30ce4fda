//! Vietnamese texts.

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
    welcome: Text {
        subject: "Bạn có tài khoản trên {{ host }}",
        before: &["Quản trị viên của {{ host }} đã tạo cho bạn một tài khoản với email này. Hãy đặt mật khẩu:"],
        action: "Đặt mật khẩu",
        after: &[
            "Liên kết này dùng được một lần và hết hạn sau 7 ngày. Sau đó, hãy dùng “Quên mật khẩu?” trên trang đăng nhập.",
            "Nếu bạn không chờ email này, hãy bỏ qua.",
        ],
    },
    test: Text {
        subject: "Email từ {{ host }} hoạt động",
        before: &[
            "Bạn đã yêu cầu {{ host }} gửi một email thử. Email đã đến, nên mọi người cũng sẽ nhận được email của họ.",
        ],
        action: "",
        after: &[],
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
    email_change_new: Text {
        subject: "Xác nhận địa chỉ email mới của bạn",
        before: &["Bạn muốn dùng địa chỉ email này cho tài khoản của mình trên {{ host }}. Hãy xác nhận:"],
        action: "Xác nhận địa chỉ email",
        after: &[
            "Liên kết này dùng được một lần và hết hạn sau 24 giờ. Nếu địa chỉ hiện tại đã được xác minh, địa chỉ đó cũng phải xác nhận.",
            "Nếu không phải bạn, hãy bỏ qua email này.",
        ],
    },
    email_change_current: Text {
        subject: "Xác nhận việc đổi địa chỉ email",
        before: &[
            "Bạn muốn đổi địa chỉ email của tài khoản trên {{ host }} thành {{ new_address }}. Nếu đó là bạn, hãy xác nhận cả ở đây:",
        ],
        action: "Xác nhận thay đổi",
        after: &[
            "Liên kết này dùng được một lần và hết hạn sau 24 giờ.",
            "Nếu không phải bạn, đừng mở liên kết. Hãy đổi mật khẩu ngay trong Cài đặt: việc đó sẽ hủy thay đổi này.",
        ],
    },
    email_changed: Text {
        subject: "Địa chỉ email của bạn đã được đổi",
        before: &[
            "Địa chỉ email của tài khoản bạn trên {{ host }} đã được đổi thành {{ new_address }} vào {{ time }}. Từ bây giờ, email được gửi đến đó và bạn đăng nhập bằng địa chỉ đó.",
        ],
        action: "",
        after: &[
            "Nếu đó là bạn, bạn không cần làm gì.",
            "Nếu không phải bạn, hãy báo ngay cho quản trị viên của {{ host }}.",
        ],
    },
    suspended: Text {
        subject: "Tài khoản của bạn đã bị đình chỉ",
        before: &[
            "Quản trị viên của {{ host }} đã đình chỉ tài khoản của bạn vào {{ time }}. Bạn không đăng nhập được, và các chương trình dùng khóa API của bạn bị từ chối.",
        ],
        action: "",
        after: &["Không có gì bị xóa. Nếu bạn cho rằng đây là nhầm lẫn, hãy hỏi quản trị viên của {{ host }}."],
    },
    restored: Text {
        subject: "Tài khoản của bạn đã được khôi phục",
        before: &[
            "Quản trị viên của {{ host }} đã khôi phục tài khoản của bạn. Mọi thứ vẫn như trước, và các khóa API của bạn dùng lại được.",
        ],
        action: "",
        after: &["Hãy đăng nhập như trước."],
    },
    second_factor_removed: Text {
        subject: "Xác minh hai bước đã bị gỡ",
        before: &[
            "Quản trị viên của {{ host }} đã gỡ xác minh hai bước khỏi tài khoản của bạn vào {{ time }}. Các mã khôi phục không còn dùng được.",
        ],
        action: "",
        after: &[
            "Nếu bạn đã yêu cầu, hãy đăng nhập và thiết lập lại trong Cài đặt.",
            "Nếu không, hãy đổi mật khẩu ngay và báo cho quản trị viên của {{ host }}.",
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
    paid: Text {
        subject: "Biên nhận {{ number }}",
        before: &[
            "Cảm ơn bạn. Khoản thanh toán {{ amount }} cho {% if plan %}{{ plan }}{% else %}gói của bạn{% endif %} trên {{ host }} đã hoàn tất. Số biên nhận của bạn là {{ number }}.",
        ],
        action: "Xem khoản thanh toán và biên nhận",
        after: &[],
    },
    refunded: Text {
        subject: "Hoàn tiền {{ amount }}",
        before: &[
            "{{ amount }} bạn đã thanh toán trên {{ host }} đã được hoàn về phương thức bạn dùng để trả. Số phiếu hoàn tiền là {{ number }}.",
        ],
        action: "Xem khoản thanh toán",
        after: &["Có thể mất vài ngày để ngân hàng của bạn hiển thị khoản tiền này."],
    },
    charge_failed: Text {
        subject: "Thanh toán của bạn bị từ chối",
        before: &[
            "Chúng tôi không thể thu {{ amount }} cho {% if plan %}{{ plan }}{% else %}gói của bạn{% endif %} trên {{ host }}.",
            "{% if again %}Chúng tôi sẽ thử lại vào {{ again }}. {% endif %}Gói của bạn vẫn dùng được đến {{ time }}.",
        ],
        action: "Thanh toán ngay",
        after: &["Nếu không muốn giữ gói, bạn không cần làm gì."],
    },
    plan_unpaid: Text {
        subject: "Gói của bạn đang chờ thanh toán",
        before: &[
            "Kỳ hạn của {% if plan %}{{ plan }}{% else %}gói của bạn{% endif %} trên {{ host }} đã kết thúc. Gói vẫn dùng được đến {{ time }}.",
        ],
        action: "Thanh toán ngay",
        after: &["Nếu không muốn giữ gói, bạn không cần làm gì."],
    },
    plan_ended: Text {
        subject: "Gói của bạn đã kết thúc",
        before: &[
            "{% if plan %}{{ plan }}{% else %}Gói của bạn{% endif %} trên {{ host }} đã kết thúc. Tài khoản, các cuộc trò chuyện và credit bạn đã mua vẫn còn.",
        ],
        action: "Chọn gói",
        after: &[],
    },
    plan_expiring: Text {
        subject: "Gói của bạn sắp hết hạn",
        before: &[
            "{% if plan %}{{ plan }}{% else %}Gói của bạn{% endif %} trên {{ host }} hết hạn vào {{ time }}. Để giữ gói, hãy thanh toán kỳ tiếp theo{% if amount %}: {{ amount }}{% endif %}.",
        ],
        action: "Thanh toán ngay",
        after: &["Không có khoản nào tự động bị thu."],
    },
    plan_renewing: Text {
        subject: "Gói của bạn sắp gia hạn",
        before: &[
            "{% if plan %}{{ plan }}{% else %}Gói của bạn{% endif %} trên {{ host }} sẽ gia hạn vào {{ time }}. {% if amount %}{{ amount }} sẽ được thu qua phương thức thanh toán bạn đã lưu.{% endif %}",
        ],
        action: "Quản lý gói",
        after: &["Nếu không muốn, hãy hủy trước thời điểm đó. Bạn vẫn dùng gói đến hết kỳ."],
    },
    trial_ending: Text {
        subject: "Thời gian dùng thử sắp kết thúc",
        before: &[
            "Thời gian dùng thử {% if plan %}{{ plan }}{% else %}gói{% endif %} trên {{ host }} kết thúc vào {{ time }}. Không có khoản nào bị thu.",
        ],
        action: "Giữ gói",
        after: &[],
    },
    credits_low: Text {
        subject: "Credit của bạn sắp hết",
        before: &[
            "{% if workspace %}Không gian làm việc {{ workspace }} trên {{ host }} còn {{ credits }} credit. Khi hết, các thành viên sẽ trả bằng credit của mình.{% else %}Bạn còn {{ credits }} credit trên {{ host }}.{% endif %}",
        ],
        action: "Mua credit",
        after: &["Cũng trên trang đó, bạn có thể chọn khi nào được báo và bật tự động nạp credit."],
    },
    top_up_stopped: Text {
        subject: "Credit không còn được nạp tự động",
        before: &[
            "{% if why == 'declined' %}Thanh toán của bạn bị từ chối nên tự động nạp trên {{ host }} đã tắt. Sẽ không trừ thêm tiền.{% elif why == 'method_removed' %}Phương thức thanh toán dùng để tự động nạp trên {{ host }} đã bị xóa nên tính năng này đã tắt.{% elif why == 'plan_withdrawn' %}Gói credit dùng để tự động nạp trên {{ host }} không còn bán với giá này nên tính năng đã tắt.{% else %}Tự động nạp trên {{ host }} đã đạt hạn mức tháng này của bạn. Tháng sau sẽ tiếp tục.{% endif %}",
        ],
        action: "Xem credit",
        after: &[],
    },
    missed: Text {
        subject: "{{ count }} mục chưa đọc trên {{ host }}",
        before: &["Bạn đã bỏ lỡ:", "{{ lines }}"],
        action: "Mở hoạt động",
        after: &[
            "Để trả lời, hãy mở Natter: email trả lời không đến được ai.",
            "Bạn nhận một email cho tất cả những gì bỏ lỡ. Thay đổi điều này trong Cài đặt, mục Thông báo.",
        ],
    },
    announcement: Text {
        subject: "Thông báo chung trên {{ host }}",
        before: &["{{ title }}", "{{ body }}"],
        action: "Mở Natter",
        after: &[],
    },
    footer: "Email do Natter trên {{ host }} gửi. Email trả lời sẽ không được đọc.",
};
