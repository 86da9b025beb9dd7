/**
 * How the page looks: by day, by night, on a narrow screen and on paper, where no ink is spent on grounds.
 */

const light = `color-scheme:light;--ground:#fff;--panel:#f5f7f8;--ink:#1a1f24;--soft:#55606b;--rule:#dce1e6;--main:#1d6a8a;
--fill:#c9e0ea;--pale:#5f9bb3;--gone:#7d8791;--bad:#b5321f;--half:#a86a00;--good:#1f7a4d`

const dark = `color-scheme:dark;--ground:#13171a;--panel:#1b2125;--ink:#e4e8eb;--soft:#9ba7b1;--rule:#2d353b;--main:#6bb8d6;
--fill:#1f4657;--pale:#3d7d95;--gone:#6f7b85;--bad:#f08671;--half:#dba94a;--good:#6cc596`

export const style = `
:root{${light}}
@media (prefers-color-scheme:dark){:root{${dark}}}
@media print{:root{${light};--panel:#fff;--fill:#e4eff4}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",
"Liberation Sans",sans-serif;font-variant-numeric:tabular-nums}
main{max-width:1080px;margin:0 auto;padding:40px 28px 64px}
h1,h2,h3,p,dl,dd,ul{margin:0}
.over{color:var(--soft);font-size:13px;overflow-wrap:anywhere}
h1{font-size:30px;line-height:1.2;font-weight:650;letter-spacing:-.012em;margin:6px 0 6px}
.verdict.ok h1{color:var(--good)}.verdict.bad h1{color:var(--bad)}.verdict.half h1{color:var(--half)}
.lead{font-size:16px;max-width:72ch}
.soft,.note{color:var(--soft)}.note{font-size:13px;max-width:88ch}
h2{font-size:18px;font-weight:650;margin:44px 0 4px}
h2+.note{margin-bottom:14px}
h3{font-size:14px;font-weight:600;margin:18px 0 2px;color:var(--soft)}
.shares{display:block;width:100%;height:14px;margin:20px 0 8px}
.legend{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:4px 22px;font-size:14px}
.legend svg{width:10px;height:10px;margin-right:7px}
.figures{display:grid;grid-template-columns:repeat(4,1fr);gap:1px;margin-top:26px;background:var(--rule);border:1px solid var(--rule);
border-radius:8px;overflow:hidden}
.figures div{background:var(--panel);padding:13px 16px}
.figures dt{color:var(--soft);font-size:13px}
.figures dd{font-size:22px;line-height:1.3;font-weight:600;letter-spacing:-.01em;white-space:nowrap}
.figures .more{display:block;font-size:13px;font-weight:400;letter-spacing:0;color:var(--soft);white-space:normal}
.verified,.main{fill:var(--main)}.stored{fill:var(--pale)}.skipped{fill:var(--gone)}.failed,.badbar{fill:var(--bad)}.cancelled{fill:var(--half)}
.plot{display:grid;grid-template-columns:88px 1fr;margin:12px 0 0}
.area{position:relative}
.area svg{display:block;width:100%;height:220px;overflow:visible}
.low .area svg{height:64px}.marked .area{padding-top:58px}.marked .area svg{height:190px}
.rows,.columns{position:relative;font-size:12px;color:var(--soft)}
.rows span{position:absolute;right:12px;transform:translateY(-50%);white-space:nowrap}
.marked .rows{margin-top:58px}
.columns{grid-column:2;height:26px}
.columns span{position:absolute;top:6px;transform:translateX(-50%);white-space:nowrap}
.columns .last{transform:translateX(-100%)}
path{vector-effect:non-scaling-stroke;fill:none}
.grid,.tick{stroke:var(--rule)}
.tick{stroke:var(--soft)}
.fill,.bars{fill:var(--fill)}
.line{stroke:var(--main);stroke-width:1.25;stroke-linejoin:round}
.bars{stroke:var(--main);stroke-width:1}
.mean{stroke:var(--ink);stroke-width:1;stroke-dasharray:2 4}
.quiet{fill:var(--pale)}.bad{fill:var(--bad)}
.mark{stroke:var(--ink);stroke-width:1;stroke-dasharray:4 3}
.flag{position:absolute;font-size:12px;line-height:16px;padding-left:6px;border-left:1px solid var(--ink);white-space:nowrap;font-weight:600;background:var(--ground)}
.flag.left{transform:translateX(-100%);padding:0 6px 0 0;border-left:0;border-right:1px solid var(--ink)}
.level0{top:40px;height:18px}.level1{top:20px;height:38px}.level2{top:0;height:58px}
.two{display:grid;grid-template-columns:1fr 1fr;gap:0 44px}
.two>*{min-width:0}
.scroll{overflow-x:auto;margin-top:10px}
.scroll:focus-visible,summary:focus-visible{outline:2px solid var(--main);outline-offset:2px}
table{border-collapse:collapse;width:100%;font-size:14px}
th,td{text-align:left;vertical-align:top;padding:6px 14px 6px 0;border-bottom:1px solid var(--rule);font-weight:400}
th:last-child,td:last-child{padding-right:0}
thead th{color:var(--soft);font-size:12.5px;white-space:nowrap;border-bottom-color:var(--soft)}
.n{text-align:right;white-space:nowrap}
.w{width:45%}
.bar{display:block;width:100%;height:9px;margin-top:6px}
.scroll svg.bar{min-width:60px}
bdi{overflow-wrap:anywhere}
.id{font-weight:600}
.where{display:block;color:var(--soft);font-size:13px}
.why{font-weight:600;color:var(--bad)}
.part{content-visibility:auto;contain-intrinsic-size:auto calc(var(--rows)*62px)}
.part .scroll{margin-top:0}.part:first-of-type{margin-top:10px}
.more thead th{padding:0;border:0;line-height:0;font-size:0}
.list{table-layout:fixed}
.list th:nth-child(1){width:34%}.list th:nth-child(2){width:20%}
.named tbody th{white-space:nowrap}.named td.w{width:50%}
a{color:var(--main)}
.slow{min-width:640px}.slow tbody th{min-width:260px}
details{margin-top:6px}
summary{cursor:pointer;color:var(--soft);font-size:13px;width:fit-content}
footer{margin-top:52px;padding-top:14px;border-top:1px solid var(--rule)}
footer p{margin-bottom:6px}
.unseen{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
@media (max-width:720px){
main{padding:24px 16px 48px}h1{font-size:25px}.figures{grid-template-columns:1fr 1fr}.figures dd{font-size:19px}
.two{grid-template-columns:1fr}.plot{grid-template-columns:70px 1fr}.rows span{right:8px}.columns .odd{display:none}
.area svg{height:170px}
.part{contain-intrinsic-size:auto calc(var(--rows)*168px)}
.list thead{display:none}.list,.list tbody,.list tr,.list th,.list td{display:block;width:auto!important}
.list tr{border-bottom:1px solid var(--rule);padding:10px 0}.list th,.list td{border:0;padding:1px 0}
}
@media print{
@page{margin:16mm 14mm}
body{font-size:10.5pt}main{max-width:none;padding:0}
h1,h2,h3{break-after:avoid}.plot,.figures,tr,.legend,.keep{break-inside:avoid}
thead{display:table-header-group}details{display:none}.scroll{overflow:visible}
table{font-size:9pt}.over a{display:none}.figures{background:none}.figures div{outline:1px solid var(--rule)}
.part{content-visibility:visible}.slow{min-width:0}.slow tbody th{min-width:0}
h2{margin-top:26px}
}
`
