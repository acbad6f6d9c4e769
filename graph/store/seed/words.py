"""The words that a sample store is made of. Every change here changes every seeded store."""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.strip().splitlines())


FIRST_NAMES = _words("""
    Ada Adam Agnes Aiko Aisha Albert Alejandra Alfie Alice Amara Amélie Amir Amy Ana Andrea Anna
    Anton Arjun Astrid Ava Beatriz Ben Björn Camille Carlos Caroline Cátia Chen Chloé Clara
    Conor Daniel Daria David Deepa Dominik Dylan Edith Ella Élodie Emil Emily Emma Erik Esther
    Ethan Eva Fatima Felix Femi Finn Fiona Florence François Frank Freya George Gita Grace Greta
    Gustav Håkon Hana Hannah Harriet Harry Hassan Helen Henry Hugo Ian Ibrahim Ida Inês Ingrid
    Irene Isaac Isla Jack James Jamila Jan Javier Jens João Joe John Jonas José Julia Jürgen
    Kamila Karen Karim Katherine Kenji Kofi Lars Laura Léa Leah Leila Leo Liam Lily Linh Louise
    Lucas Lucía Lucy Łukasz Magda Maja Malik Marco María Mark Martha Mateo Matilda Max Mei Mia
    Michael Miriam Mohammed Nadia Naomi Nathan Nia Niamh Nina Noah Nora Núria Olga Oliver Olivia
    Omar Oscar Owen Paul Pavel Petra Philip Piotr Priya Rachel Rafael Ravi Rebecca Renée Rohan
    Rory Rosa Ruby Ruth Samir Samuel Sara Scott Siân Sinéad Sofia Søren Stefan Stella Tariq Tess
    Thea Theo Thomas Toby Tomáš Uma Ursula Valentina Vera Victor Viktória Wanda Wei Will Yara
    Yasmin Yuki Yusuf Zara Zoë Zofia
""")

LAST_NAMES = _words("""
    Abbott Abdi Adeyemi Ahmed Åkesson Ali Álvarez Andersson Andrews Archer Bailey Bąk Baker
    Banerjee Barnes Becker Begum Bell Bennett Bergström Bianchi Björk Bradley Brady Brennan
    Brooks Brown Byrne Campbell Carter Castillo Černý Chan Chapman Chaudhry Clarke Collins Conti
    Cooper Costa Cox Craig Cruz Dahl Davies Dawson Delgado Devlin Diaz Dixon Doyle Dubois Duffy
    Dumont Dvořák Edwards Eklund Elliott Ellis Eriksen Evans Farrell Ferguson Fernández Ferrari
    Fischer Fletcher Flynn Forster Foster Fournier Fox Fraser Fuchs Fuentes Gallagher
    García-López Gardner Gibson Girard Gómez Gordon Graham Grant Gray Green Griffiths Gruber
    Gunnarsson Gupta Haas Hall Hansen Harris Harrison Harvey Hayes Hernández Hill Hoffmann Holm
    Horváth Howard Hughes Hunt Hussain Ibáñez Iqbal Ivanova Jackson Jansen Jensen Johansson
    Johnson Jones Joshi Kaiser Kamara Kaur Kelly Kennedy Khan Kim King Knight Kobayashi Kovács
    Kowalska Kraus Kuznetsov Lambert Lang Larsen Laurent Lawson Lefèvre Lehmann Leroy Lewis
    Lindström Lloyd Lombardi Lund Macdonald Marino Marsh Martin Mbeki McCarthy Mehta Mendoza
    Meyer Miller Mitchell Molnár Moore Moreau Morgan Morris Müller Murphy Murray Nagy Nakamura
    Navarro Nguyen Nielsen Novák Nowak O'Brien O'Connor Okafor Olsen Osei Øster Owens Öztürk
    Palmer Park Parker Patel Peña Pereira Phillips Pietrzak Popescu Powell Price Quinn Ramírez
    Rao Reid Ricci Richards Roberts Robinson Rossi Russell Ryan Sánchez Sanders Santos Schäfer
    Schmidt Schröder Schulz Scott Shah Sharma Simmons Singh Smith Söderberg Sørensen Stewart
    Sullivan Suzuki Szabó Tanaka Taylor Thompson Tran Turner Vargas Vogel Wagner Walker Wallace
    Walsh Wang Watson Weber Weiß White Williams Wilson Wójcik Wood Wright Young Zhang
""")

# From the largest to the smallest, each with the language of its streets.
TOWNS = tuple(
    (town, language)
    for language, _, town in (
        line.partition(" ")
        for line in _lines("""
            en London
            de Berlin
            es Madrid
            fr Paris
            en Manchester
            de München
            en Birmingham
            pl Warszawa
            es Barcelona
            sv Stockholm
            en Glasgow
            en Dublin
            fr Lyon
            de Köln
            en Leeds
            pl Kraków
            es Málaga
            en Bristol
            de Zürich
            sv Göteborg
            en Liverpool
            fr Genève
            pl Łódź
            en Edinburgh
            de Düsseldorf
            es Córdoba
            en Cardiff
            fr Liège
            sv Malmö
            en Newcastle upon Tyne
            pl Poznań
            en Belfast
            de Nürnberg
            en Norwich
            fr Saint-Étienne
            en Brighton
            es A Coruña
            en Cork
            sv Jönköping
            en Bath
            de Lübeck
            en Stow-on-the-Wold
            fr Besançon
            en Aberystwyth
            pl Toruń
            de Tübingen
            en Dún Laoghaire
            sv Växjö
            es Cádiz
            en Whitby
            en Wolfden
            en Beckinsdale
        """)
    )
)

# The house number goes between the braces.
STREETS = {
    "en": _lines("""
        {} Abbey Road
        {} Alma Terrace
        {} Beech Avenue
        {} Bridge Street
        {} Canal Walk
        {} Castle Hill
        {} Chapel Lane
        {} Church Row
        {} Clarence Square
        {} Fairfield Drive
        {} Foundry Yard
        {} Grange Gardens
        {} Hawthorn Close
        {} High Street
        {} Kinney Street
        {} Lime Grove
        {} Market Place
        {} Mill Lane
        {} Nelson Crescent
        {} Old Station Road
        {} Orchard Way
        {} Park View
        {} Patterson Street
        {} Queen Street
        {} Rope Walk
        {} St John's Road
        {} Tanner's Court
        {} Victoria Road
        {} Weaver Street
        {} Willow Bank
    """),
    "de": _lines("""
        Ahornallee {}
        Am Brühl {}
        Bahnhofstraße {}
        Gartenweg {}
        Goethestraße {}
        Hauptstraße {}
        Kastanienallee {}
        Lindenstraße {}
        Marktplatz {}
        Mühlenweg {}
        Schloßgasse {}
        Uferstraße {}
    """),
    "es": _lines("""
        Avenida de la Constitución {}
        Calle de Alcalá {}
        Calle del Carmen {}
        Calle Mayor {}
        Calle Nueva {}
        Paseo del Río {}
        Plaza de España {}
        Ronda de Sevilla {}
    """),
    "fr": _lines("""
        {} avenue de la Gare
        {} boulevard Voltaire
        {} chemin des Vignes
        {} place du Marché
        {} quai de la Rivière
        {} rue de l'Église
        {} rue des Lilas
        {} rue Pasteur
    """),
    "pl": _lines("""
        ul. Długa {}
        ul. Kościuszki {}
        ul. Krótka {}
        ul. Lipowa {}
        ul. Mickiewicza {}
        ul. Ogrodowa {}
        ul. Polna {}
    """),
    "sv": _lines("""
        Björkvägen {}
        Drottninggatan {}
        Hamngatan {}
        Kungsgatan {}
        Skolgatan {}
        Storgatan {}
        Ängsvägen {}
    """),
}

# Reserved by RFC 2606: email to these domains is never delivered.
EMAIL_DOMAINS = ("example.com", "example.net", "example.org")

# Styles, and the goods that come in each of them, with what one of these costs about.
GOODS = (
    (
        ("Stoneware", "Porcelain", "Speckled", "Cobalt Blue", "Hand-Painted"),
        {"Mug": 9, "Teapot": 28, "Café au Lait Bowl": 12, "Dinner Plate": 13, "Milk Jug": 15},
    ),
    (
        ("Linen", "Striped", "Organic Cotton", "Indigo", "Herringbone"),
        {"Tea Towel": 8, "Apron": 22, "Tablecloth": 38, "Cushion Cover": 18, "Throw": 45},
    ),
    (
        ("Dotted", "Ruled", "Pocket", "Hardback", "Recycled"),
        {"Notebook": 7, "Sketchbook": 11, "Journal": 12, "Address Book": 9, "Notepad": 4},
    ),
    (
        ("Ethiopian", "Colombian", "Guatemalan", "Sumatran", "House Blend"),
        {
            "Coffee Beans, 250 g": 7,
            "Coffee Beans, 1 kg": 24,
            "Ground Coffee, 250 g": 7,
            "Espresso Roast, 250 g": 8,
            "Coffee Capsules, 20": 6,
        },
    ),
    (
        ("Raspberry", "Apricot", "Blackcurrant", "Bitter Orange", "Rhubarb"),
        {
            "Jam, 340 g": 4,
            "Syrup, 500 ml": 6,
            "Cordial, 750 ml": 5,
            "Tea, 20 Bags": 4,
            "Chocolate Bar, 100 g": 3,
        },
    ),
    (
        ("Galvanised", "Copper", "Sage Green", "Slate Grey", "Antique White"),
        {"Watering Can": 24, "Plant Pot": 9, "Bird Feeder": 16, "Lantern": 19, "Window Box": 21},
    ),
    (
        ("Oak", "Walnut", "Beech", "Ash", "Bamboo"),
        {
            "Chopping Board": 25,
            "Stool": 59,
            "Bookends, Pair": 18,
            "Picture Frame": 16,
            "Serving Tray": 29,
        },
    ),
    (
        ("Merino", "Lambswool", "Ribbed", "Fair Isle", "Cable-Knit"),
        {"Scarf": 29, "Beanie": 19, "Socks, Pair": 11, "Gloves, Pair": 18, "Jumper": 65},
    ),
)
