#include "channels/webhook/report_style.h"

#include "common/crypto.h"

// Contrast of text is 4.5:1 or more in both modes (WCAG 2.2, 1.4.3), of the charts 3:1 (1.4.11).
// clang-format off
static const char screen[] =
    ":root{color-scheme:light dark;--page:#f4f5f7;--card:#fff;--text:#1b2330;--dim:#525d6e;--rule:#d9dde4;"
    "--noise:#7a8494;--fixed:#1a7f4b;--escalated:#b3590a;--real:#c0182f;--open:#6b4ec2;--line:#1f5fbf}"
    "@media(prefers-color-scheme:dark){:root{--page:#0f1319;--card:#181e27;--text:#e7eaf0;--dim:#a9b3c2;--rule:#323b49;"
    "--noise:#8b96a8;--fixed:#43b581;--escalated:#e0a040;--real:#f2717f;--open:#a792f5;--line:#7db0ff}}"
    "*{box-sizing:border-box}"
    "body{margin:0;background:var(--page);color:var(--text);font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;"
    "overflow-wrap:break-word}h3,dd,tbody th,.any{overflow-wrap:anywhere}.id{white-space:nowrap}"
    "header,main,footer{max-width:62rem;margin:0 auto;padding:0 1rem}"
    "header{padding-top:1.5rem}h1{font-size:1.6rem;line-height:1.2;margin:0 0 .3rem}"
    "h2{font-size:1.15rem;margin:0 0 .6rem}h3{font-size:1rem;margin:0 0 .2rem}table+h3{margin-top:1.2rem}"
    "p{margin:.3rem 0}.dim,footer,th,figcaption,summary,dt{color:var(--dim)}"
    "section{background:var(--card);border:1px solid var(--rule);border-radius:.6rem;padding:1rem 1.1rem;margin:1rem 0}"
    ".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(max(8rem,22%),1fr));gap:.7rem;margin:1rem 0}"
    ".tile{background:var(--card);border:1px solid var(--rule);border-radius:.6rem;padding:.7rem .9rem}"
    ".tile dt{font-size:.85rem}.tile dd{margin:0}.tile .big{font-size:1.5rem;font-weight:650;line-height:1.25}"
    ".tile .small{font-size:.82rem;color:var(--dim)}"
    ".chart{display:grid;grid-template-columns:52px minmax(0,1fr)}.chart svg{display:block;overflow:visible}"
    "svg text{fill:var(--dim);font-size:12px}.grid{stroke:var(--rule)}.base{stroke:var(--dim)}"
    ".plot rect{stroke:var(--card);stroke-width:1}"
    "rect.noise,i.noise{fill:var(--noise);background:var(--noise)}rect.fixed,i.fixed{fill:var(--fixed);background:var(--fixed)}"
    "rect.escalated,i.escalated{fill:var(--escalated);background:var(--escalated)}"
    "rect.real,i.real{fill:var(--real);background:var(--real)}rect.open,i.open{fill:var(--open);background:var(--open)}"
    "circle.line{fill:var(--line)}line.line{stroke:var(--line);stroke-width:2}"
    ".legend{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;list-style:none;margin:.2rem 0 .5rem;padding:0;font-size:.9rem}"
    ".legend i{display:inline-block;width:.75em;height:.75em;border-radius:.15em;margin-right:.4em}"
    ".pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,19rem),1fr));gap:1rem}"
    "figure{margin:0;min-width:0}figcaption{font-size:.9rem;margin-bottom:.3rem}"
    "details{margin-top:.4rem}summary{cursor:pointer;font-size:.9rem}"
    "table{border-collapse:collapse;width:100%;font-size:.92rem;margin-top:.4rem}caption{text-align:left;color:var(--dim);font-size:.9rem}"
    "th,td{text-align:left;vertical-align:top;padding:.3rem .6rem .3rem 0;border-bottom:1px solid var(--rule)}"
    "thead th,tbody th{font-weight:600}tbody th{color:var(--text);font-weight:500}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}"
    "tr:last-child>*{border-bottom:0}.bar{width:22%}.bar svg{display:block;margin-top:.4rem}"
    "article{border-top:1px solid var(--rule);padding:.7rem 0}article:first-of-type{border-top:0;padding-top:0}"
    "article dl{display:grid;grid-template-columns:6.2rem minmax(0,1fr);margin:.3rem 0 0;gap:.1rem .6rem}article dd{margin:0}"
    ".tag{display:inline-block;border:1px solid currentColor;border-radius:1rem;padding:0 .55rem;font-size:.8rem;font-weight:600}"
    ".tag.real{color:var(--real)}.tag.escalated{color:var(--escalated)}.tag.fixed{color:var(--fixed)}.tag.open{color:var(--open)}"
    "a{color:var(--line)}footer{font-size:.85rem;padding-bottom:2rem}";
static const char narrow_and_paper[] =
    "@media(max-width:34rem){body{font-size:15px}.wide{display:none}section{padding:.8rem}.bar{display:none}"
    "td,th{padding-right:.4rem}details table{font-size:.76rem}details th,details td{padding-right:.25rem}article dl{grid-template-columns:minmax(0,1fr)}article dt{font-size:.85rem}}"
    "@media print{:root{--page:#fff;--card:#fff;--text:#000;--dim:#444;--rule:#bbb;--noise:#7a8494;--fixed:#1a7f4b;--escalated:#b3590a;"
    "--real:#c0182f;--open:#6b4ec2;--line:#1f5fbf}body{font-size:10.5pt}section,.tile{break-inside:avoid;border-color:#bbb}"
    "section.long{break-inside:auto}article,tr{break-inside:avoid}h2{break-after:avoid}*{print-color-adjust:exact}"
    "details::details-content{content-visibility:visible;display:block}header,main,footer{max-width:none}}";
// clang-format on

void report_style(struct buf *out)
{
    buf_adds(out, screen);
    buf_adds(out, narrow_and_paper);
}

void report_policy(struct buf *out, bool header)
{
    struct buf style = BUF_INIT(64 * 1024);
    uint8_t hash[32];
    char text[64];
    report_style(&style);
    sha256(buf_str(&style), hash);
    base64_encode((struct str){(const char *)hash, sizeof hash}, text, sizeof text);
    buf_done(&style);
    buf_addf(out,
             "default-src 'none'; style-src 'sha256-%s'; img-src data:; base-uri 'none'; "
             "form-action 'none'%s",
             text, header ? "; frame-ancestors 'none'" : "");
}
