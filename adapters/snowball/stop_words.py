"""Words that say nothing about what a text is about, by language."""

from __future__ import annotations

from collections.abc import Mapping

_WORDS = {
    "english": """
    a about above after again against all also am an and any are aren't as at
    be because been before being below between both but by
    can can't cannot could couldn't
    did didn't do does doesn't doing don't down during
    each either else ever
    few for from further
    had hadn't has hasn't have haven't having he he'd he'll her here hers herself him himself
    his how
    i i'd i'll i'm i've if in into is isn't it itself
    just
    let like
    me might more most much must my myself
    neither no nor not
    of off on once only or other our ours ourselves out over own
    perhaps
    quite
    rather really
    same shall she she'd she'll should shouldn't since so some such
    than that the their theirs them themselves then there these they they'd they'll they're they've
    this those though through to too
    under until up upon us
    very
    was wasn't we we'd we'll we're we've were weren't what when where whether which while who whom
    whose why will with within without won't would wouldn't
    yet you you'd you'll you're you've your yours yourself yourselves
    """,
    "german": """
    aber alle allem allen aller alles als also am an ander andere anderem anderen anderer anderes
    auch auf aus
    bei beim bin bis bist
    da dabei dadurch daher damit dann daran darauf daraus darin darüber darum das dass davon dazu
    dein deine deinem deinen deiner dem den denen denn der deren des dessen dich die dies diese
    diesem diesen dieser dieses dir doch dort du durch
    ein eine einem einen einer eines einige einigen einiger er es etwas euch euer eure
    für
    gegen
    hab habe haben hat hatte hatten hier hin hinter
    ich ihm ihn ihnen ihr ihre ihrem ihren ihrer ihres im in ins ist
    ja jede jedem jeden jeder jedes jene jenem jenen jener jenes
    kann kein keine keinem keinen keiner können könnte
    mal man manche manchem manchen mancher mein meine meinem meinen meiner mich mir mit muss müssen
    nach nicht nichts noch nun nur
    ob oder ohne
    sehr sein seine seinem seinen seiner seines seit sich sie sind so solche solchem solchen soll
    sollen sollte sondern sonst
    über um und uns unser unsere unserem unseren unter
    viel vom von vor
    wann war waren warst warum was weg weil welche welchem welchen welcher welches wem wen wenn wer
    werde werden wie wieder will wir wird wirst wo wollen wollte worden wurde wurden während würde
    würden
    zu zum zur zwar zwischen
    """,
    "french": """
    à afin ai ainsi alors après as assez au aucun aucune aussi autre autres aux avait avant avec
    avez avoir avons
    bien
    car ce ceci cela celle celles celui ces cet cette ceux chaque chez comme comment
    dans de depuis des donc dont du
    elle elles en encore entre es est et étaient étais était été être eu eux
    fait faire
    ici il ils
    je jusque
    la là laquelle le lequel les lesquels leur leurs lui
    ma mais me même mêmes mes moi moins mon
    ne ni non nos notre nous
    on ont ou où
    par parce pas pendant peu peut plus plusieurs pour pourquoi puis
    quand que quel quelle quelles quels quelque quelques qui quoi
    sa sans se selon sera seront ses seulement si sien son sont sous suis sur
    ta tandis te tes toi ton toujours tous tout toute toutes très tu
    un une
    va vers vont vos votre vous
    y
    """,
    "spanish": """
    a al algo algunas algún alguna alguno algunos ante antes aquel aquella aquellas aquello aquellos
    aquí así aun aunque
    cada casi como cómo con contra cual cuál cuales cuando cuándo cuanto
    de del desde después donde dónde dos durante
    e el él ella ellas ellos en entonces entre era eran eras eres es esa esas ese eso esos está
    están estaba estaban estamos estar estas este esto estos estoy
    fue fueron fui
    ha había habían han has hasta hay haber he hemos
    la las le les lo los
    más me mi mí mientras mis mucho muchos muy
    nada ni no nos nosotras nosotros nuestra nuestras nuestro nuestros
    o os otra otras otro otros
    para pero poco por porque pues
    que qué quien quién quienes
    se sea según ser si sí sido siempre sin sobre sois solo somos son soy su sus suya suyo
    también tan tanto te tenemos tener tengo ti tiene tienen toda todas todo todos tu tú tus
    un una unas uno unos usted ustedes
    vosotras vosotros
    y ya yo
    """,
    "italian": """
    a abbia abbiamo abbiano ad ai agli al alla alle allo allora altra altre altri altro anche ancora
    avere aveva avevano avete
    c che chi ci ciò coi col come con contro cosa così cui
    da dagli dai dal dalla dalle dallo degli dei del della delle dello dentro di dopo dove dunque
    e è ed era erano essere
    fa fra fu furono
    già gli
    ha hai hanno ho
    i il in io
    la le lei li lo loro lui
    ma me meno mentre mi mia mie miei mio molto
    ne negli nei nel nella nelle nello no noi non nostra nostre nostri nostro nulla
    o ogni oppure ora
    per perché però più poco poi prima può
    qua qual quale quali quando quanto quella quelle quelli quello questa queste questi questo qui
    quindi
    sarà se sei sempre senza si sì sia siamo siete sono sta stata stati stato stesso su sua sue
    sugli sui sul sulla sulle sullo suo suoi
    te ti tra troppo tu tua tue tuo tuoi tutta tutte tutti tutto
    un una uno
    va verso vi voi vostra vostre vostri vostro
    """,
    "portuguese": """
    a à ainda além algo algum alguma algumas alguns ao aos apenas após aquela aquelas aquele aqueles
    aquilo as às assim até
    bem
    cada com como contra
    da das de dela delas dele deles depois desde dessa desse desta deste do dos durante
    e é ela elas ele eles em embora enquanto então entre era eram essa essas esse esses esta está
    estamos estão estas estava estavam este estes estou eu
    foi fomos for foram fui
    há havia
    isso isto
    já
    lá lhe lhes logo
    mais mas me mesma mesmo meu meus minha minhas muito muitos
    na nada não nas nem nenhum nessa nesse nesta neste no nos nós nossa nossas nosso nossos num numa
    o onde os ou outra outras outro outros
    para pela pelas pelo pelos perante pois por porque pouco primeiro
    qual quais quando quanto que quê quem
    são se seja sem sempre ser será seu seus sido só sob sobre somos sou sua suas
    também tão te tem têm temos tenho ter teu teus teve tinha tinham toda todas todo todos tu tua
    tuas tudo
    um uma umas uns
    você vocês
    """,
    "dutch": """
    aan achter al alle alleen als altijd ander andere anders
    bij binnen boven buiten
    daar daarna daarom dan dat de deze die dit doch doen door dus
    een eens en er
    ge geen geweest gedaan gehad
    had hadden heb hebben heeft hem hen het hier hij hoe hun
    iemand iets ik in is
    ja je jij jou jouw jullie
    kan kon kunnen
    maar me meer men met mij mijn moet moeten
    na naar naast niet niets nog nu
    of om omdat onder ons onze ook op over
    reeds
    sinds
    te tegen ten ter toch toen tot tussen
    u uit uw
    van veel vanaf voor
    waar waarom wanneer want waren was wat we weer wel welk welke werd werden wie wij wil worden
    wordt
    zal ze zei zelf zich zij zijn zo zoals zonder zou zouden
    """,
    "none": "",
}

STOP_WORDS: Mapping[str, frozenset[str]] = {
    language: frozenset(words.split()) for language, words in _WORDS.items()
}
